package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
)

const (
	// SweepOverlap is how far a sweep looks back behind the one before, or behind
	// what a person says: clocks may differ by ten minutes and more.
	SweepOverlap = 15 * time.Minute
	// firstSweep is how far the very first one looks back.
	firstSweep = 24 * time.Hour
	// sweepRetry is when a sweep that was asked for is tried again, if it did not come about.
	sweepRetry = 5 * time.Second
	// sweepBatch is small, for the sweep is the least urgent of all.
	sweepBatch = 200
	// sweepSource names this worker in the journal.
	sweepSource = "sweep"
)

// SweepRecords is what the sweep needs of the database.
type SweepRecords interface {
	// Lead runs do on one replica only, and returns false on the others.
	Lead(ctx context.Context, do func(context.Context) error) (bool, error)
	// Begin returns until when was swept (zero: never) and the database's time.
	Begin(ctx context.Context) (until, now time.Time, err error)
	// Finish remembers that everything created until then has been looked at.
	Finish(ctx context.Context, until time.Time) error
	// Behind returns the orders that have no record, or one of a lower class.
	Behind(ctx context.Context, told map[courier.OrderID]courier.Class) ([]courier.OrderID, error)
	// Open pages through the open orders by id.
	Open(ctx context.Context, after courier.OrderID, limit int) ([]courier.OrderID, error)
}

// Sweeper compares both sides: orders that service-order lists and that have
// no record or a lower one (a lost "created"), and open orders of our own (a
// lost "completed"). What differs becomes a hint; the use case does the rest.
type Sweeper struct {
	lister  order.Lister
	records SweepRecords
	gate    Gate
	to      Submitter
	log     *slog.Logger
	wake    chan struct{} // of size 1
}

// NewSweeper returns a Sweeper that compares lister with records and submits
// what differs to to, while gate is open.
func NewSweeper(lister order.Lister, records SweepRecords, gate Gate, to Submitter, log *slog.Logger) *Sweeper {
	return &Sweeper{lister, records, gate, to, log, make(chan struct{}, 1)}
}

// Wake asks Run for a sweep out of turn.
func (s *Sweeper) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // it is asked already
	}
}

// Run sweeps at once, then when woken and every so often, until ctx ends: on one
// replica, and not while service-order is down for everybody. All replicas together
// sweep every so often, since each leaves out what another has just done; a sweep that
// was woken is not left out, and is tried again until it has been done.
func (s *Sweeper) Run(ctx context.Context, every time.Duration) {
	failing := outage.New(s.log, "sweep")
	timer := time.NewTicker(every)
	defer timer.Stop()
	for woken, atOnce := false, true; ; atOnce = woken {
		if s.inTurn(ctx, failing, every, atOnce) {
			woken = false
		}
		var again <-chan time.Time
		if woken {
			again = time.After(sweepRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-again:
		case <-s.wake:
			woken = true
		}
	}
}

// inTurn sweeps, unless it may wait and the last sweep, anybody's, began less than
// about every ago. It reports that nothing is left to be done at once.
func (s *Sweeper) inTurn(ctx context.Context, failing *outage.Log, every time.Duration, atOnce bool) bool {
	if s.gate.Ready(ctx) != nil {
		return false
	}
	due := every - every/10 // the timers of the one who swept last are not exact
	if atOnce {
		due = 0
	}
	led, err := s.records.Lead(ctx, func(ctx context.Context) error { return s.sweep(ctx, due) })
	switch {
	case ctx.Err() != nil, errors.Is(err, orderevent.ErrPaused):
	case err != nil:
		failing.Failed(ctx, err)
	default:
		failing.Works(ctx)
	}
	return led && err == nil
}

// sweep sweeps when the last one began due ago or earlier.
func (s *Sweeper) sweep(ctx context.Context, due time.Duration) error {
	until, now, err := s.records.Begin(ctx)
	if err != nil {
		return err
	}
	if now.Sub(until) < due {
		return nil
	}
	from := until.Add(-SweepOverlap)
	if until.IsZero() {
		from = now.Add(-firstSweep)
	}
	if err := s.Since(ctx, from); err != nil {
		return err
	}
	return s.records.Finish(ctx, now)
}

// Since sweeps once: all that service-order lists as created at from or later,
// then every open order of our own, whatever its age.
func (s *Sweeper) Since(ctx context.Context, from time.Time) error {
	if err := s.listed(ctx, from); err != nil {
		return err
	}
	return s.open(ctx)
}

// listed looks for orders that our records lack or know in a lower class.
func (s *Sweeper) listed(ctx context.Context, from time.Time) error {
	told := make(map[courier.OrderID]courier.Class, sweepBatch)
	compare := func() error {
		if len(told) == 0 {
			return nil
		}
		behind, err := s.records.Behind(ctx, told)
		clear(told)
		if err != nil {
			return err
		}
		return s.submit(ctx, behind)
	}
	err := s.lister.List(ctx, from, func(o order.Order) error {
		told[o.ID] = courier.ClassOf(o.Status)
		if len(told) < sweepBatch {
			return nil
		}
		return compare()
	})
	if err != nil {
		return errors.Join(err, compare()) // what was listed before it broke off still counts
	}
	return compare()
}

// open looks at every open order.
func (s *Sweeper) open(ctx context.Context) error {
	var after courier.OrderID
	for {
		ids, err := s.records.Open(ctx, after, sweepBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := s.submit(ctx, ids); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

func (s *Sweeper) submit(ctx context.Context, ids []courier.OrderID) error {
	hints := make([]orderevent.Hint, len(ids))
	for i, id := range ids {
		hints[i] = orderevent.Hint{OrderID: id, Sweep: true, Source: sweepSource}
	}
	return feed(ctx, s.to, hints, s.log)
}
