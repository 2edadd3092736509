package ordersim

import "time"

// Order is an order as service-order tells it in JSON. Times are RFC 3339 in
// UTC, prices whole currency units.
type Order struct {
	ID                string    `json:"id"`
	UserID            string    `json:"user_id"`
	OrderNumber       string    `json:"order_number,omitempty"`
	FIO               string    `json:"fio,omitempty"`
	RestaurantID      string    `json:"restaurant_id"`
	Items             []Item    `json:"items"`
	TotalPrice        int64     `json:"total_price"`
	Address           Address   `json:"address"`
	Status            string    `json:"status"`
	CreatedAt         time.Time `json:"created_at"`
	UpdatedAt         time.Time `json:"updated_at"`
	EstimatedDelivery time.Time `json:"estimated_delivery"`
}

// Item is one line of an order.
type Item struct {
	FoodID   string `json:"food_id"`
	Name     string `json:"name"`
	Quantity int64  `json:"quantity"`
	Price    int64  `json:"price"`
}

// Address is where an order goes.
type Address struct {
	Street    string `json:"street"`
	House     string `json:"house,omitempty"`
	Apartment string `json:"apartment,omitempty"`
	Floor     string `json:"floor,omitempty"`
	Comment   string `json:"comment,omitempty"`
}

// record is an order together with what its future depends on; it is also a
// line of the state file. Records are never modified, only replaced: readers
// share them without a lock, and a timer knows by the pointer whether the order
// has changed since it was armed.
type record struct {
	Order
	// Pace stretches this order's steps (Config.Jitter).
	Pace float64 `json:"pace"`
	// NextAt is when the status moves on by itself; zero: it stays.
	NextAt time.Time `json:"next_at,omitzero"`
	// CancelAt is when the generator deletes the order; zero: it does not.
	CancelAt time.Time `json:"cancel_at,omitzero"`
}
