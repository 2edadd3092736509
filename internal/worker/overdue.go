package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/outage"
)

// overdueEvery is how late a late delivery may be noticed.
const overdueEvery = time.Second

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

// expire goes once through all that is late. One that fails does not keep the
// others from their turn; it is tried again in the next round.
func expire(ctx context.Context, deadlines Deadlines, deliveries Expirer, log *slog.Logger) error {
	ids, err := deadlines.Overdue(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, id := range ids {
		expired, err := deliveries.Expire(ctx, id)
		switch {
		case errors.Is(err, courier.ErrUnavailable), ctx.Err() != nil:
			return err
		case err != nil:
			failed = err
		case expired:
			log.InfoContext(ctx, "late delivery expired; its courier is free and the order held", slog.String("order_id", string(id)))
		}
	}
	return failed
}
