package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"service-courier/internal/courier"
)

const (
	expireInterval = time.Second
	// expireConcurrency bounds the GETs and the database connections. Hundreds of
	// overdue orders must not wait for each other while service-order is slow.
	expireConcurrency = 6
)

// ExpireOverdue expires the deliveries that overdue returns: expire frees the courier,
// puts the order on hold, and reports whether there was still a delivery to expire.
// While service-order is unavailable none expires: the order may have been completed in
// time.
func ExpireOverdue(
	overdue func(context.Context) ([]courier.OrderID, error),
	expire func(context.Context, courier.OrderID) (bool, error),
	gate Gate, log *slog.Logger,
) Task {
	return Task{Name: "expire_overdue", Interval: expireInterval, Gate: gate, Run: func(ctx context.Context) error {
		ids, err := overdue(ctx)
		if err != nil {
			return err
		}
		return forEach(ids, func(id courier.OrderID) error {
			return contain(ctx, log, "expire_overdue", func(ctx context.Context) error {
				expired, err := expire(ctx, id)
				if expired {
					log.InfoContext(ctx, "overdue delivery expired", slog.String("order_id", string(id)))
				}
				return err
			})
		})
	}}
}

// forEach calls do once for each order and returns the first error. An order that fails
// or is slow does not stop the others; the next round tries it again. No more orders are
// started when the database is unavailable.
func forEach(ids []courier.OrderID, do func(courier.OrderID) error) error {
	var unavailable atomic.Bool
	var group errgroup.Group
	group.SetLimit(expireConcurrency)
	for _, id := range ids {
		group.Go(func() error {
			if unavailable.Load() {
				return nil
			}
			err := do(id)
			if errors.Is(err, courier.ErrUnavailable) {
				unavailable.Store(true)
			}
			return err
		})
	}
	return group.Wait()
}
