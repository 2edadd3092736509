// Package worker holds the loops that work without an event: matching on a
// timer, the orders due for another look, the sweep that compares with
// service-order's list, and the deliveries behind their deadline. They decide
// nothing of an order; they only feed the use cases. Watch tells how the orders
// stand and Audit whether every promise is kept, Retain removes what was kept for long enough.
package worker

import (
	"context"
	"log/slog"
	"time"

	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
)

// matchEvery is how long a crash between COMMIT and match, or a row that was
// skipped because somebody held it, can keep an order beside a free courier.
const matchEvery = 250 * time.Millisecond

// Match runs the matcher whenever it is woken (for latency) and on a timer
// (for correctness), until ctx ends.
func Match(ctx context.Context, m *orderevent.Matcher, log *slog.Logger) {
	failing := outage.New(log, "matching orders to couriers")
	timer := time.NewTicker(matchEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.Woken():
		case <-timer.C:
		}
		switch err := m.Match(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			failing.Failed(ctx, err)
			pause(ctx, time.Second)
		default:
			failing.Works(ctx)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
