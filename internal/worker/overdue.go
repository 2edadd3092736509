package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"service-courier/internal/courier"
	"service-courier/internal/outage"
)

const (
	// overdueEvery is how late a late delivery may be noticed.
	overdueEvery = time.Second
	// overdueAtATime bounds the GETs, and the connections of the database: hundreds
	// of late orders that service-order is slow about must not wait for each other.
	overdueAtATime = 6
)

// Deadlines finds the orders whose open delivery is behind its deadline.
type Deadlines interface {
	Overdue(ctx context.Context) ([]courier.OrderID, error)
}

// Expirer frees the courier of an overdue delivery and holds its order; it
// reports whether there still was one.
type Expirer interface {
	Expire(ctx context.Context, id courier.OrderID) (bool, error)
}

// Overdue expires late deliveries until ctx ends; several replicas may. While
// service-order is down for everybody it touches none: an order that was
// completed in time must not be held because nobody could be asked.
func Overdue(ctx context.Context, deadlines Deadlines, deliveries Expirer, gate Gate, log *slog.Logger) {
	repeat(ctx, overdueEvery, gate, outage.New(log, "expiring late deliveries"), func() error {
		return expire(ctx, deadlines, deliveries, log)
	})
}

// expire goes once through all that is late, some at a time. One that fails, or
// that service-order is slow about, does not keep the others from their turn; it
// is tried again in the next round. When the storage is away none is tried further.
func expire(ctx context.Context, deadlines Deadlines, deliveries Expirer, log *slog.Logger) error {
	ids, err := deadlines.Overdue(ctx)
	if err != nil {
		return err
	}
	var failed atomic.Pointer[error] // of one that has to wait for the next round
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(overdueAtATime)
	for _, id := range ids {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			expired, err := deliveries.Expire(ctx, id)
			switch {
			case errors.Is(err, courier.ErrUnavailable):
				return err
			case err != nil:
				failed.Store(&err)
			case expired:
				log.InfoContext(ctx, "late delivery expired; its courier is free and the order held", slog.String("order_id", string(id)))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
