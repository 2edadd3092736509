package ordersim

import (
	"math/rand/v2"
	"strconv"
	"time"
)

type dish struct {
	id, name string
	price    int64
}

// What sample orders are made of; only for people to look at.
var (
	dishes = []dish{
		{"f-1", "Pizza Margherita", 520},
		{"f-2", "Pelmeni with sour cream", 390},
		{"f-3", "Caesar salad", 450},
		{"f-4", "Chicken shawarma", 330},
		{"f-5", "Philadelphia roll", 690},
		{"f-6", "Borscht", 310},
		{"f-7", "Double burger", 480},
		{"f-8", "Berry mors", 150},
	}
	restaurants = []string{"rest-1", "rest-2", "rest-3", "rest-4", "rest-5"}
	streets     = []string{"Tverskaya", "Arbat", "Pokrovka", "Maroseyka", "Prospekt Mira", "Lesnaya"}
	people      = []string{"Ivanov I.I.", "Petrova A.S.", "Sidorov K.V.", "Smirnova E.D.", "Orlov M.P."}
)

// sample makes up a plausible order that is just created.
func sample(r *rand.Rand, now time.Time, steps Steps) Order {
	o := Order{
		ID:           newID(r),
		UserID:       defaultUser,
		FIO:          pick(r, people),
		RestaurantID: pick(r, restaurants),
		Address: Address{
			Street:    pick(r, streets),
			House:     strconv.Itoa(1 + r.IntN(90)),
			Apartment: strconv.Itoa(1 + r.IntN(200)),
		},
		Status:            StatusCreated,
		CreatedAt:         now,
		EstimatedDelivery: estimate(now, steps),
	}
	for range 1 + r.IntN(3) {
		d := pick(r, dishes)
		item := Item{FoodID: d.id, Name: d.name, Quantity: 1 + r.Int64N(2), Price: d.price}
		o.Items = append(o.Items, item)
		o.TotalPrice += item.Price * item.Quantity
	}
	return o
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// estimate is when an order of now should be with its customer.
func estimate(now time.Time, steps Steps) time.Time {
	life := steps.life()
	if life == Never {
		life = DefaultSteps().life()
	}
	return now.Add(life)
}
