package orderevent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

// sighting is one look at one order: what was hinted of it, and what
// service-order answered.
type sighting struct {
	subject
	answer order.Order // valid when err is nil
	err    error       // order.ErrNotFound, order.ErrUnavailable, or nil
}

// kind is what a sighting can be; the factory has an action for each.
type kind uint8

const (
	kindUnknownStatus kind = iota
	kindActive
	kindCompleted
	kindCancelled
	kindMissing     // service-order answered 404
	kindUnavailable // it could not be asked
)

func (s sighting) kind() kind {
	switch {
	case errors.Is(s.err, order.ErrNotFound):
		return kindMissing
	case s.err != nil:
		return kindUnavailable
	}
	switch courier.ClassOf(s.answer.Status) {
	case courier.ClassActive:
		return kindActive
	case courier.ClassCompleted:
		return kindCompleted
	case courier.ClassCancelled:
		return kindCancelled
	case courier.ClassUnknown:
	}
	return kindUnknownStatus
}

// ask looks at every subject, at most concurrency at a time, and calls asking, where
// it is given, before each GET. No transaction and no connection of the database is
// held meanwhile. It fails only when ctx ends: an aborted GET says nothing about its order.
func ask(
	ctx context.Context, orders order.OrderClient, subjects []subject, concurrency int, asking func(courier.OrderID),
) ([]sighting, error) {
	if asking == nil {
		asking = func(courier.OrderID) {}
	}
	sightings := make([]sighting, len(subjects))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(concurrency, len(subjects)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(subjects)); i = next.Add(1) - 1 {
				s := sighting{subject: subjects[i]}
				asking(s.orderID)
				s.answer, s.err = orders.Get(ctx, s.orderID)
				sightings[i] = s
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return sightings, nil
}
