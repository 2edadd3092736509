package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/usecase/orderevent"
)

const (
	// ResyncOverlap is how far a resync reaches back behind the start of the last one,
	// or behind the time that an operator gives: clocks may differ by ten minutes.
	ResyncOverlap = 15 * time.Minute
	// firstResync is how far the first resync reaches back.
	firstResync = 24 * time.Hour
	// resyncRetry is the pause after which a resync that failed, or for which service-order is
	// away, is tried again; while it fails the pause doubles, unless it was requested.
	resyncRetry = 5 * time.Second
	resyncBatch = 200
	// resyncSource is the source of these hints in the journal.
	resyncSource = "resync"
)

// ResyncStore is the database as the resync needs it.
type ResyncStore interface {
	// Begin returns until when orders were resynced (zero: never) and the database's time.
	Begin(ctx context.Context) (until, now time.Time, err error)
	// Finish saves that all orders created until then were resynced.
	Finish(ctx context.Context, until time.Time) error
	// Behind returns the listed orders that are unknown, or known with a lower class.
	Behind(ctx context.Context, listed map[courier.OrderID]courier.Class) ([]courier.OrderID, error)
	// ActivePage pages through the active orders by id.
	ActivePage(ctx context.Context, after courier.OrderID, limit int) ([]courier.OrderID, error)
}

// Resyncer compares both sides: orders that service-order lists and that are unknown
// or of a lower class here (a lost "created"), and the active orders (a lost
// "completed"). It submits each difference as a hint.
type Resyncer struct {
	lister    order.Lister
	store     ResyncStore
	to        Submitter
	log       *slog.Logger
	trigger   chan struct{} // of size 1
	requested atomic.Bool   // the next resync runs even if one was done recently
}

// NewResyncer returns a Resyncer that compares lister with store and submits the
// differences to to.
func NewResyncer(lister order.Lister, store ResyncStore, to Submitter, log *slog.Logger) *Resyncer {
	r := &Resyncer{lister: lister, store: store, to: to, log: log, trigger: make(chan struct{}, 1)}
	r.requested.Store(true)
	return r
}

// Trigger requests a resync now. It is retried until it succeeds.
func (r *Resyncer) Trigger() {
	r.requested.Store(true)
	select {
	case r.trigger <- struct{}{}:
	default: // requested already
	}
}

// Task returns the task, which resyncs at the start, when triggered, and once an interval
// on one of the replicas.
func (r *Resyncer) Task(interval time.Duration, leader Leader, gate Gate) Task {
	return Task{
		Name: "resync", Interval: interval, Retry: resyncRetry, Leader: leader, Gate: gate, Trigger: r.trigger,
		Run: func(ctx context.Context) error {
			requested := r.requested.Swap(false)
			due := interval - interval/10 // a tenth for the jitter of the replica that was last
			if requested {
				due = 0
			}
			err := r.resync(ctx, due)
			if err != nil && requested {
				r.requested.Store(true)
			}
			return err
		},
	}
}

// resync resyncs unless the last resync of any replica began less than due ago.
func (r *Resyncer) resync(ctx context.Context, due time.Duration) error {
	until, now, err := r.store.Begin(ctx)
	if err != nil || now.Sub(until) < due {
		return err
	}
	from := until.Add(-ResyncOverlap)
	if until.IsZero() {
		from = now.Add(-firstResync)
	}
	if err := r.Since(ctx, from); err != nil {
		return err
	}
	return r.store.Finish(ctx, now)
}

// Since resyncs once: the orders that service-order lists as created at from or later,
// then every active order.
func (r *Resyncer) Since(ctx context.Context, from time.Time) error {
	if err := r.resyncListed(ctx, from); err != nil {
		return err
	}
	return r.resyncActive(ctx)
}

// resyncListed submits the listed orders that are unknown or behind. It keeps at most
// one batch of the list in memory.
func (r *Resyncer) resyncListed(ctx context.Context, from time.Time) error {
	listed := make(map[courier.OrderID]courier.Class, resyncBatch)
	compare := func() error {
		if len(listed) == 0 {
			return nil
		}
		behind, err := r.store.Behind(ctx, listed)
		clear(listed)
		if err != nil {
			return err
		}
		return r.submit(ctx, behind)
	}
	err := r.lister.List(ctx, from, func(o order.Order) error {
		listed[o.ID] = courier.ClassOf(o.Status)
		if len(listed) < resyncBatch {
			return nil
		}
		return compare()
	})
	return errors.Join(err, compare()) // the orders of an incomplete list are compared too
}

// resyncActive submits every active order.
func (r *Resyncer) resyncActive(ctx context.Context) error {
	var after courier.OrderID
	for {
		ids, err := r.store.ActivePage(ctx, after, resyncBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := r.submit(ctx, ids); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

func (r *Resyncer) submit(ctx context.Context, ids []courier.OrderID) error {
	hints := make([]orderevent.Hint, len(ids))
	for i, id := range ids {
		hints[i] = orderevent.Hint{OrderID: id, Resync: true, Source: resyncSource}
	}
	return submit(ctx, r.to, hints, r.log)
}
