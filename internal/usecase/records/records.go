// Package records is the use case of an engineer who reads the order topic: its records as
// they are, and what became of each. Nothing is written for it: what changed an order is in
// the journal, dead letters and pending rechecks are in their tables, and a processed record
// that is in none of them changed nothing.
package records

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
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

// Described is a record with what became of it.
type Described struct {
	Record
	Fate

	OrderID courier.OrderID // "" when the record names none
	Status  string          // as the record claims
	Outcome Outcome
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

// ErrNotRead means that Kafka did not return the records.
var ErrNotRead = errors.New("the records cannot be read from Kafka")

// Topic reads and writes the order topic. Reading commits no offset.
type Topic interface {
	// Read returns records in the order of their offsets, partition by partition. The error
	// matches ErrNotRead.
	Read(ctx context.Context, q Query) ([]Record, error)
	// Publish adds a record and returns its position. The error matches
	// deadletters.ErrNotPublished.
	Publish(ctx context.Context, r deadletters.Record) (deadletters.RecordPosition, error)
}

// Store knows what became of records.
type Store interface {
	// Fates returns the fate of each record; orders has the order of each, or "".
	Fates(ctx context.Context, all []Record, orders []courier.OrderID) ([]Fate, error)
}

// sharedFor is how long the newest records are shared by all clients that follow the topic:
// the events page reads once a second, so that any number of viewers costs one read.
const sharedFor = 900 * time.Millisecond

// Records reads the topic for all clients, one query at a time.
type Records struct {
	topic Topic
	store Store
	turn  chan struct{} // of size 1: held while reading

	mu     sync.Mutex
	latest []Described
	query  Query
	until  time.Time
}

// New returns the records of a topic.
func New(topic Topic, store Store) *Records {
	return &Records{topic: topic, store: store, turn: make(chan struct{}, 1)}
}

// Read returns records with what became of them.
func (u *Records) Read(ctx context.Context, q Query) ([]Described, error) {
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if shared, ok := u.shared(q); ok {
		return shared, nil
	}
	all, err := u.topic.Read(ctx, q)
	if err != nil {
		return nil, err
	}
	described, err := u.describe(ctx, all)
	if err == nil && q == Latest(q.Limit) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.latest, u.query, u.until = described, q, time.Now().Add(sharedFor)
	}
	return described, err
}

func (u *Records) shared(q Query) ([]Described, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.latest, u.latest != nil && q == u.query && time.Now().Before(u.until)
}

// Publish adds a record to the topic: a test of the consumer, or an event that was lost.
func (u *Records) Publish(ctx context.Context, key, value []byte) (deadletters.RecordPosition, error) {
	return u.topic.Publish(ctx, deadletters.Record{Key: key, Payload: value})
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
