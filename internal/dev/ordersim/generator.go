package ordersim

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// maxLag bounds catching up: after a laptop's sleep the generator does not create all
// missed orders at once.
const maxLag = time.Second

// defaultUser owns generated orders: X-Bypass-Auth: true may change them.
const defaultUser = "default-user"

// startTraffic starts the generators.
func (s *Sim) startTraffic() {
	singles := newRand(s.cfg.Seed, streamArrivals, 0)
	if s.cfg.Every > 0 {
		s.repeat(time.Now(), func() time.Duration { return arrivalDelay(singles, s.cfg.Every) }, s.generate)
	}
	bursts := newRand(s.cfg.Seed, streamArrivals, 1)
	if s.cfg.BurstEvery > 0 {
		// From two to four thirds of the mean.
		wait := func() time.Duration { return time.Duration((2 + 2*bursts.Float64()) / 3 * float64(s.cfg.BurstEvery)) }
		s.repeat(time.Now(), wait, func() { s.burst(bursts) })
	}
}

// repeat calls do repeatedly. Each wait starts at the planned time of the previous
// call, which keeps the rate.
func (s *Sim) repeat(last time.Time, wait func() time.Duration, do func()) {
	if oldest := time.Now().Add(-maxLag); last.Before(oldest) {
		last = oldest
	}
	next := last.Add(wait())
	s.timers.at(next, func() {
		do()
		s.repeat(next, wait, do)
	})
}

// burst creates orders a fraction of a second apart.
func (s *Sim) burst(r *rand.Rand) {
	when := time.Now()
	for range s.cfg.BurstMin + r.IntN(s.cfg.BurstMax-s.cfg.BurstMin+1) {
		s.timers.at(when, s.generate)
		when = when.Add(time.Duration(200+r.IntN(600)) * time.Millisecond)
	}
}

// generate creates the next order of the seed. It skips ids of an earlier run with the
// same seed, read from the state file.
func (s *Sim) generate() {
	s.generated++
	r := s.plan(s.generated)
	for s.store.get(r.ID) != nil {
		s.generated++
		r = s.plan(s.generated)
	}
	if err := s.add(r); err != nil {
		s.log.Error("order not generated", slog.Any("error", err))
	}
}

// plan makes all random decisions about the n-th generated order.
func (s *Sim) plan(n uint64) *record {
	r := newRand(s.cfg.Seed, streamGenerated, n)
	rec := &record{Order: sample(r, time.Now().UTC(), s.cfg.Steps)}
	rec.OrderNumber = fmt.Sprintf("A-%06d", n)
	rec.Pace = 1 + s.cfg.Jitter*(2*r.Float64()-1)
	cancelled, at := r.Float64() < s.cfg.CancelShare, r.Float64()
	if cancelled {
		life := s.cfg.Steps.life()
		if life == Never {
			life = DefaultSteps().life()
		}
		rec.CancelAt = rec.CreatedAt.Add(stretch(life, at*rec.Pace))
	}
	return rec
}

// sampleOrder returns a new order with sample contents.
func (s *Sim) sampleOrder(user, status string) *record {
	r := &record{Pace: 1}
	for r.ID == "" || s.store.get(r.ID) != nil {
		random := newRand(s.cfg.Seed, streamAPI, s.requested.Add(1))
		r.Order = sample(random, time.Now().UTC(), s.cfg.Steps)
	}
	r.UserID, r.Status = user, status
	return r
}

// The random streams of one seed. They are independent: the use of one does not change
// the numbers of another, so a seeded run is repeatable.
const (
	streamArrivals  = 1 // when orders are generated
	streamGenerated = 2 // the n-th generated order
	streamAPI       = 3 // the id of the n-th requested order
	streamEvents    = 4 // the faults of an event
)

// newRand returns random source n of a stream. It uses ChaCha8, whose sources are
// independent even for neighbouring n.
func newRand(seed, stream, n uint64) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], stream)
	binary.LittleEndian.PutUint64(key[16:], n)
	return rand.New(rand.NewChaCha8(key))
}

// randomSeed is never zero.
func randomSeed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// hash returns the number of an event in its stream.
func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p))
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// newID returns a UUID of version 4.
func newID(r *rand.Rand) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], r.Uint64())
	binary.BigEndian.PutUint64(b[8:], r.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// arrivalDelay is the exponentially distributed time until the next order, at most four
// times the mean.
func arrivalDelay(r *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(math.Min(r.ExpFloat64(), 4) * float64(mean))
}

type dish struct {
	id, name string
	price    int64
}

// The contents of sample orders.
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

// sample returns a plausible new order.
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

// estimate returns the expected time of delivery.
func estimate(now time.Time, steps Steps) time.Time {
	life := steps.life()
	if life == Never {
		life = DefaultSteps().life()
	}
	return now.Add(life)
}
