package orderevent

import (
	"context"
	"sync"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

// maxAnswers bounds the answers remembered: more than the events that are in
// memory at a time, and a few megabytes.
const maxAnswers = 8_192

// maxAge bounds how old an answer is used: no older than one whose own
// transaction was slow (the timeouts of a GET and of a transaction together).
const maxAge = 4 * time.Second

// answers is an OrderClient that spares a GET to an event that had come before
// another event's GET of the same order began: that answer tells of its change
// too, as it would had both come into one batch. An answer may be older by then
// than one of its own would be; so may any answer, and the ladder stands for that.
type answers struct {
	client order.OrderClient

	mu   sync.Mutex
	last map[courier.OrderID]*answer // of each order only the latest GET
	ring []courier.OrderID           // those remembered, in the order of their first GET
	next int                         // where the ring goes on, once it is full
}

// answer is one GET, begun and perhaps not finished.
type answer struct {
	began time.Time
	done  chan struct{} // closed when the rest is there
	order order.Order
	err   error
}

// serves reports whether an event that came then needs no GET of its own.
func (a *answer) serves(received time.Time) bool {
	return a != nil && !received.IsZero() && received.Before(a.began) && time.Since(a.began) < maxAge
}

func newAnswers(client order.OrderClient) *answers {
	return &answers{client: client, last: make(map[courier.OrderID]*answer, maxAnswers)}
}

// get returns an answer whose GET began after received. The zero time stands for
// now: service-order is asked. So it is when the other GET told no order.
func (a *answers) get(ctx context.Context, id courier.OrderID, received time.Time) (order.Order, error) {
	a.mu.Lock()
	if known := a.last[id]; known.serves(received) {
		a.mu.Unlock()
		select {
		case <-known.done:
		case <-ctx.Done():
			return order.Order{}, ctx.Err()
		}
		if known.err == nil {
			return known.order, nil
		}
		a.mu.Lock()
	}
	mine := &answer{began: time.Now(), done: make(chan struct{})}
	a.remember(id, mine)
	a.mu.Unlock()
	defer close(mine.done)
	mine.order, mine.err = a.client.Get(ctx, id)
	return mine.order, mine.err
}

// remember puts an answer in place of the order's last one, and forgets the order
// that is remembered longest when there are too many.
func (a *answers) remember(id courier.OrderID, latest *answer) {
	if _, known := a.last[id]; !known {
		if len(a.ring) < maxAnswers {
			a.ring = append(a.ring, id)
		} else {
			delete(a.last, a.ring[a.next])
			a.ring[a.next] = id
			a.next = (a.next + 1) % maxAnswers
		}
	}
	a.last[id] = latest
}
