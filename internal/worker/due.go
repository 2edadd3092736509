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
	dueEvery = 250 * time.Millisecond
	dueBatch = 200
	// dueLease is far longer than a batch takes: only a crashed replica lets it end.
	dueLease = 30 * time.Second
	// dueSource names this worker in the journal.
	dueSource = "look-again"
)

// Submitter is the use case's entrance.
type Submitter interface {
	Submit(ctx context.Context, b orderevent.Batch) error
}

// Gate says whether service-order can be asked at all.
type Gate interface {
	Ready(ctx context.Context) error
}

// Due feeds orders that are due for another look to the use case, until ctx
// ends. While service-order is down for everybody it claims nothing.
func Due(ctx context.Context, looks orderevent.Looks, gate Gate, to Submitter, log *slog.Logger) {
	repeat(ctx, dueEvery, gate, outage.New(log, "looking at orders again"), func() error {
		return drainDue(ctx, looks, to, log)
	})
}

// repeat does a round every so often while service-order can be asked, until ctx
// ends.
func repeat(ctx context.Context, every time.Duration, gate Gate, failing *outage.Log, round func() error) {
	timer := time.NewTicker(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if gate.Ready(ctx) != nil {
			continue // which the breaker has told
		}
		switch err := round(); {
		case ctx.Err() != nil:
			return
		case errors.Is(err, orderevent.ErrPaused):
		case err != nil:
			failing.Failed(ctx, err)
			pause(ctx, time.Second)
		default:
			failing.Works(ctx)
		}
	}
}

// drainDue looks at everything that is due now. What fails comes due again
// when its lease ends.
func drainDue(ctx context.Context, looks orderevent.Looks, to Submitter, log *slog.Logger) error {
	for {
		hints, err := looks.ClaimDue(ctx, dueBatch, dueLease)
		if err != nil {
			return err
		}
		for i := range hints {
			hints[i].Source = dueSource
		}
		if err := feed(ctx, to, hints, log); err != nil {
			return err
		}
		if len(hints) < dueBatch {
			return nil
		}
	}
}

// feed submits hints of our own. An order that the database refuses is told and
// passed over: it must not keep the others from their turn.
func feed(ctx context.Context, to Submitter, hints []orderevent.Hint, log *slog.Logger) error {
	err := to.Submit(ctx, orderevent.Batch{Hints: hints})
	refused, ok := errors.AsType[*orderevent.RefusedError](err)
	if !ok {
		return err
	}
	for id, why := range refused.Orders {
		log.ErrorContext(ctx, "the database refuses what service-order says of an order",
			slog.String("order_id", string(id)), slog.Any("error", why))
	}
	return nil
}
