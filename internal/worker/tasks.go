package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
)

const (
	recheckInterval = 250 * time.Millisecond
	recheckBatch    = 200
	outboxInterval  = 200 * time.Millisecond
	// countInterval bounds how many deliveries are uncounted; readers count them too.
	countInterval = 5 * time.Second
	// recheckLease is far longer than a batch takes: it ends only after a crash.
	recheckLease = 30 * time.Second
	// recheckSource is the source of these hints in the journal.
	recheckSource = "recheck"
)

// Matching runs the matcher when it is triggered, for latency, and on a timer, for
// correctness.
func Matching(m *orderevent.Matcher) Task {
	return Task{Name: "matching", Interval: orderevent.MatchInterval, Trigger: m.Triggered(), Run: m.Match}
}

// Outbox publishes what is new in the journal to brokers, on one replica at a time.
func Outbox(leader Leader, publish func(context.Context) error, brokers *outage.Dependency) Task {
	return Task{Name: "outbox", Interval: outboxInterval, Leader: leader, Run: publish, Needs: []*outage.Dependency{brokers}}
}

// CountDeliveries adds the deliveries of the last seconds to the statistics.
func CountDeliveries(count func(context.Context) error) Task {
	return Task{Name: "count_deliveries", Interval: countInterval, Run: count}
}

// Submitter accepts hints.
type Submitter interface {
	Submit(ctx context.Context, b orderevent.Batch) error
}

// Recheck submits the orders whose recheck is due.
func Recheck(rechecks orderevent.Rechecks, gate Gate, to Submitter, log *slog.Logger) Task {
	return Task{Name: "recheck", Interval: recheckInterval, Gate: gate, Run: func(ctx context.Context) error {
		for {
			hints, err := rechecks.ClaimDue(ctx, recheckBatch, recheckLease)
			if err != nil {
				return err
			}
			for i := range hints {
				hints[i].Source = recheckSource
			}
			// A recheck that fails is due again when its lease ends.
			if err := submit(ctx, to, hints, log); err != nil || len(hints) < recheckBatch {
				return err
			}
		}
	}}
}

// submit submits hints. It logs and skips an order that PostgreSQL refuses, which
// must not block the others.
func submit(ctx context.Context, to Submitter, hints []orderevent.Hint, log *slog.Logger) error {
	err := to.Submit(ctx, orderevent.Batch{Hints: hints})
	refused, ok := errors.AsType[*orderevent.RefusedError](err)
	if !ok {
		return err
	}
	for id, cause := range refused.Orders {
		log.ErrorContext(ctx, "order cannot be saved", slog.String("order_id", string(id)), slog.Any("error", cause))
	}
	return nil
}

// PurgeDeadLetters removes dead letters that were handled long ago. purge returns how
// many it removed.
func PurgeDeadLetters(purge func(context.Context) (int, error), log *slog.Logger) Task {
	return Task{Name: "purge_dead_letters", Interval: cleanupInterval, Run: func(ctx context.Context) error {
		removed, err := purge(ctx)
		if removed > 0 {
			log.InfoContext(ctx, "handled dead letters purged", slog.Int("dead_letters", removed))
		}
		return err
	}}
}

// OrderServiceGRPC checks service-order's gRPC API once a second. While check fails,
// orders are fetched over HTTP only.
func OrderServiceGRPC(check func(context.Context) error) Task {
	return Task{Name: "order_service_grpc", Interval: time.Second, Run: check}
}

// orderServiceInterval and twice the timeout of a probe are less than the 5 s in which an
// outage is noticed.
const orderServiceInterval = 2 * time.Second

// OrderServiceHTTP checks service-order, so that an outage is noticed while no order is
// fetched. A round is skipped while check fails: the circuit breaker logs that.
func OrderServiceHTTP(check func(context.Context) error) Task {
	return Task{Name: "order_service_http", Interval: orderServiceInterval, Retry: orderServiceInterval, Run: func(ctx context.Context) error {
		if check(ctx) != nil {
			return orderevent.ErrPaused
		}
		return nil
	}}
}
