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
	// sweepOverlap is how far a sweep looks back behind the one before: PostgreSQL's
	// clock and service-order's may differ by ten minutes and more.
	sweepOverlap = 15 * time.Minute
	// firstSweep is how far the very first one looks back.
	firstSweep = 24 * time.Hour
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
	// Missing counts the open orders that answer 404, and all open ones.
	Missing(ctx context.Context) (missing, open int, err error)
}

// MissingObserver is told how many open orders service-order does not have.
type MissingObserver interface {
	Missing(orders int)
}

// Sweeper compares both sides: orders that service-order lists and that have
// no record or a lower one (a lost "created"), and open orders of our own (a
// lost "completed"). What differs becomes a hint; the use case does the rest.
type Sweeper struct {
	Lister   order.Lister
	Records  SweepRecords
	Gate     Gate
	To       Submitter
	Observer MissingObserver
	Log      *slog.Logger

	forgetful bool // service-order seems to have lost its memory; said once
}

// Run sweeps at once and then every so often, until ctx ends: on one replica,
// and not while service-order is down for everybody.
func (s *Sweeper) Run(ctx context.Context, every time.Duration) {
	failing := outage.New(s.Log, "sweep")
	timer := time.NewTicker(every)
	defer timer.Stop()
	for {
		if s.Gate.Ready(ctx) == nil {
			_, err := s.Records.Lead(ctx, s.sweep)
			switch {
			case ctx.Err() != nil, errors.Is(err, orderevent.ErrPaused):
			case err != nil:
				failing.Failed(ctx, err)
			default:
				failing.Works(ctx)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context) error {
	until, now, err := s.Records.Begin(ctx)
	if err != nil {
		return err
	}
	from := until.Add(-sweepOverlap)
	if until.IsZero() {
		from = now.Add(-firstSweep)
	}
	if err := s.Since(ctx, from); err != nil {
		return err
	}
	return s.Records.Finish(ctx, now)
}

// Since sweeps once: all that service-order lists as created at from or later,
// then every open order of our own, whatever its age.
func (s *Sweeper) Since(ctx context.Context, from time.Time) error {
	if err := s.listed(ctx, from); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.alarm(ctx)
}

// listed looks for orders that our records lack or know in a lower class.
func (s *Sweeper) listed(ctx context.Context, from time.Time) error {
	told := make(map[courier.OrderID]courier.Class, sweepBatch)
	compare := func() error {
		if len(told) == 0 {
			return nil
		}
		behind, err := s.Records.Behind(ctx, told)
		clear(told)
		if err != nil {
			return err
		}
		return s.submit(ctx, behind)
	}
	err := s.Lister.List(ctx, from, func(o order.Order) error {
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
		ids, err := s.Records.Open(ctx, after, sweepBatch)
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
	return feed(ctx, s.To, hints, s.Log)
}

// Many open orders missing at once mean that service-order lost its memory,
// as it does in a restart.
const (
	forgetfulOrders = 5
	forgetfulShare  = 0.5
)

// alarm says once that service-order seems to have lost its memory, and once
// that it is over. Nobody is freed for it.
func (s *Sweeper) alarm(ctx context.Context) error {
	missing, open, err := s.Records.Missing(ctx)
	if err != nil {
		return err
	}
	s.Observer.Missing(missing)
	forgetful := missing >= forgetfulOrders && float64(missing) >= forgetfulShare*float64(open)
	counts := []any{slog.Int("missing", missing), slog.Int("open", open)}
	switch {
	case forgetful && !s.forgetful:
		s.Log.WarnContext(ctx, "service-order seems to have lost its memory: it has none of many open orders; no courier is freed for it", counts...)
	case !forgetful && s.forgetful:
		s.Log.InfoContext(ctx, "service-order has most open orders again, or they have ended", counts...)
	}
	s.forgetful = forgetful
	return nil
}
