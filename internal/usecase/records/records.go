// Package records is the use case of an engineer who reads the service's topics. The records
// of the order topic come as they are, with what became of each. Nothing is written for it:
// what changed an order is in the journal, dead letters and pending rechecks are in their
// tables, and a processed record that is in none of them changed nothing. The events of
// assignments, which the service publishes itself, come as they are.
package records

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
)

// Outcome is what became of a record.
type Outcome string

// The outcomes.
const (
	Pending    Outcome = "pending"     // not processed yet
	Applied    Outcome = "applied"     // changed its order
	Deferred   Outcome = "deferred"    // changed nothing yet: its order has a pending recheck
	Duplicate  Outcome = "duplicate"   // changed nothing: its order was there already
	Superseded Outcome = "superseded"  // changed nothing: its order was further already
	DeadLetter Outcome = "dead_letter" // can never be processed
)

// Record is a record of the topic.
type Record struct {
	Partition int32
	Offset    int64
	At        time.Time
	Key       []byte
	Value     []byte // the first bytes; nil without one
	Size      int    // of the value, in bytes
	Headers   []deadletters.Header
	Committed bool // the consumer group has processed it
}

// Fate is what the database knows of a record and its order; zero values where it knows
// nothing.
type Fate struct {
	Applied       courier.State // the state that the record moved its order to
	DeadLetterID  int64
	State         courier.State // of the order now
	RecheckAt     time.Time
	RecheckReason string
}

// Described is a record with what became of it, or, of the other topic, with the event.
type Described struct {
	Record
	Fate
	Event

	OrderID courier.OrderID // "" when the record names none
	Status  string          // as the record claims
	Outcome Outcome         // "" in the topic of assignment events
}

// Event is what a record claims about an assignment; zero values where it claims nothing.
type Event struct {
	Type      string
	CourierID int64
	Sequence  int64
}

// Query selects records; the newest when neither an offset nor a time is given.
type Query struct {
	Partition int32 // -1: all
	Offset    int64 // first offset; -1: any
	Since     time.Time
	Limit     int // of each partition
}

// Latest selects the newest records of all partitions.
func Latest(limit int) Query { return Query{Partition: -1, Offset: -1, Limit: limit} }

// ErrNotRead means that Kafka did not return the records, ErrForbidden that the service's
// user has no right to read them, ErrNoTopic that the records of this topic are not offered.
var (
	ErrNotRead   = errors.New("the records cannot be read from Kafka")
	ErrForbidden = errors.New("the Kafka user of this service may not read the topic")
	ErrNoTopic   = errors.New("records of this topic are not offered")
)

// Topic reads a topic, without committing an offset.
type Topic interface {
	Name() string
	// Read returns records in the order of their offsets, partition by partition. The error
	// matches ErrNotRead or ErrForbidden.
	Read(ctx context.Context, q Query) ([]Record, error)
}

// OrderTopic reads and writes the order topic.
type OrderTopic interface {
	Topic
	// Publish adds a record and returns its position. The error matches
	// deadletters.ErrNotPublished.
	Publish(ctx context.Context, r deadletters.Record) (deadletters.RecordPosition, error)
}

// Store knows what became of records.
type Store interface {
	// Fates returns the fate of each record; orders has the order of each, or "".
	Fates(ctx context.Context, all []Record, orders []courier.OrderID) ([]Fate, error)
}

// Records reads the topics for all clients.
type Records struct {
	orders OrderTopic
	store  Store
	feeds  []*feed // of the order topic, and of the topic of assignment events if there is one
}

// New returns the records of the order topic and, unless it is nil, of the topic of assignment
// events.
func New(orders OrderTopic, store Store, assignments Topic) *Records {
	u := &Records{orders: orders, store: store}
	u.feeds = append(u.feeds, newFeed(orders, u.describe))
	if assignments != nil {
		u.feeds = append(u.feeds, newFeed(assignments, describeEvents))
	}
	return u
}

// Topics returns the names of the topics, the order topic first.
func (u *Records) Topics() []string {
	names := make([]string, len(u.feeds))
	for i, f := range u.feeds {
		names[i] = f.topic.Name()
	}
	return names
}

// Read returns described records of a topic, "" being the order topic.
func (u *Records) Read(ctx context.Context, topic string, q Query) ([]Described, error) {
	for i, f := range u.feeds {
		if topic == f.topic.Name() || topic == "" && i == 0 {
			return f.read(ctx, q)
		}
	}
	return nil, ErrNoTopic
}

// Publish adds a record to the order topic: a test of the consumer, or an event that was lost.
func (u *Records) Publish(ctx context.Context, key, value []byte) (deadletters.RecordPosition, error) {
	return u.orders.Publish(ctx, deadletters.Record{Key: key, Payload: value})
}

func (u *Records) describe(ctx context.Context, all []Record) ([]Described, error) {
	described := make([]Described, len(all))
	orders := make([]courier.OrderID, len(all))
	for i, r := range all {
		described[i].Record = r
		described[i].OrderID, described[i].Status = claim(r.Value)
		orders[i] = described[i].OrderID
	}
	fates, err := u.store.Fates(ctx, all, orders)
	if err != nil {
		return nil, err
	}
	for i := range described {
		described[i].Fate = fates[i]
		described[i].Outcome = described[i].outcome()
	}
	return described, nil
}

// describeEvents needs no database: what the service publishes is in the record.
func describeEvents(_ context.Context, all []Record) ([]Described, error) {
	described := make([]Described, len(all))
	for i, r := range all {
		described[i].Record = r
		described[i].OrderID, _ = claim(r.Value)
		described[i].Event = eventOf(r.Value)
	}
	return described, nil
}

// claim returns the order and the status that a value names, as the consumer reads them.
func claim(value []byte) (id courier.OrderID, status string) {
	var event struct {
		OrderID any `json:"order_id"`
		Status  any `json:"status"`
	}
	if json.Unmarshal(value, &event) != nil {
		return "", ""
	}
	name, _ := event.OrderID.(string)
	status, _ = event.Status.(string)
	id, err := courier.ParseOrderID(name)
	if err != nil {
		return "", status
	}
	return id, status
}

// eventOf returns the event that a value names: another program may publish anything.
func eventOf(value []byte) Event {
	var event struct {
		Type      string `json:"type"`
		CourierID int64  `json:"courier_id"`
		Sequence  int64  `json:"sequence"`
	}
	_ = json.Unmarshal(value, &event) // a value of another type leaves its field zero
	return Event(event)
}

func (d Described) outcome() Outcome {
	switch {
	case d.DeadLetterID != 0:
		return DeadLetter
	case d.Applied != "":
		return Applied
	case !d.Committed:
		return Pending
	case !d.RecheckAt.IsZero():
		return Deferred
	case d.State.Class() > courier.ClassOf(d.Status):
		return Superseded
	}
	return Duplicate
}
