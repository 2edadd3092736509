package orderevent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

// ErrPaused means that service-order is unavailable and nothing was saved: submit
// the batch again later.
var ErrPaused = errors.New("processing paused")

// OrderService is service-order behind its circuit breaker.
type OrderService interface {
	order.OrderClient
	// Ready returns nil when orders can be fetched. It may probe.
	Ready(ctx context.Context) error
	// Tripped reports whether the breaker is open.
	Tripped() bool
}

// observation is one answer of service-order about one order, with the hints that
// led to it.
type observation struct {
	mergedHint
	answer order.Order // valid when err is nil
	err    error       // order.ErrNotFound, order.ErrUnavailable, or nil
}

// kind classifies an observation; the factory has one action per kind.
type kind uint8

const (
	kindUnknownStatus kind = iota
	kindActive
	kindCompleted
	kindCancelled
	kindMissing     // 404
	kindUnavailable // the fetch failed
)

func (obs observation) kind() kind {
	switch {
	case errors.Is(obs.err, order.ErrNotFound):
		return kindMissing
	case obs.err != nil:
		return kindUnavailable
	}
	switch courier.ClassOf(obs.answer.Status) {
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

// fetch fetches the orders, at most r.concurrency at a time, and calls starting
// before each GET. No transaction or connection is held meanwhile. It returns
// ErrPaused when service-order is unavailable for all orders: Kafka is the buffer
// then, and deferring every single order would only copy it into the database. An
// order whose fetch panics twice is left out and returned as refused.
func (r *Reconciler) fetch(
	ctx context.Context, hints []mergedHint, starting func(courier.OrderID),
) (observations []observation, refused, err error) {
	if len(hints) == 0 {
		return nil, nil, nil
	}
	if err := r.orders.Ready(ctx); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrPaused, err)
	}
	fetching, end := r.observer.Begin(ctx, PhaseFetch)
	answers := make([]observation, len(hints))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(r.concurrency, len(hints)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(hints)); i = next.Add(1) - 1 {
				answers[i] = r.fetchOne(fetching, hints[i], starting)
				if errors.Is(answers[i].err, ErrRefused) {
					answers[i] = r.fetchOne(fetching, hints[i], starting) // the panic may be transient
				}
			}
		})
	}
	wg.Wait()
	err = ctx.Err() // an aborted GET says nothing about its order
	end(len(answers), err)
	if err != nil {
		return nil, nil, err
	}
	observations = answers[:0]
	for _, obs := range answers {
		switch {
		case errors.Is(obs.err, ErrRefused):
			refused = joinRefusals(refused, refuse(obs.orderID, obs.err))
			continue
		case obs.kind() == kindUnavailable && r.orders.Tripped():
			return nil, nil, fmt.Errorf("%w: %w", ErrPaused, obs.err)
		}
		observations = append(observations, obs)
	}
	return observations, refused, nil
}

func (r *Reconciler) fetchOne(ctx context.Context, hint mergedHint, starting func(courier.OrderID)) (obs observation) {
	obs.mergedHint = hint
	defer func() {
		if p := recover(); p != nil {
			obs.err = fmt.Errorf("%w: %w", ErrRefused, r.recovered(ctx, p, obs))
		}
	}()
	if starting != nil {
		starting(hint.orderID)
	}
	obs.answer, obs.err = r.orders.Get(ctx, hint.orderID)
	return obs
}
