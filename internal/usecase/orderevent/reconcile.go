package orderevent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

// txTimeout bounds the transaction of a batch. It runs on this deadline of
// its own: a partition that is revoked, or a shutdown, lets it finish.
const txTimeout = 3 * time.Second

// ErrPaused says that service-order is down for everybody and that nothing was
// saved: submit the batch again until it is up.
var ErrPaused = errors.New("paused")

// OrderService is service-order behind its circuit breaker.
type OrderService interface {
	order.OrderClient
	// Ready returns nil when service-order can be asked. It may probe.
	Ready(ctx context.Context) error
	// Tripped reports whether service-order is taken to be down for everybody.
	Tripped() bool
}

// Observer is told what was done, for the metrics.
type Observer interface {
	// Reconciled is called after the COMMIT of a batch.
	Reconciled(outcome Outcome)
	// Matched is called after orders were given their couriers.
	Matched(assignments []Assignment)
	// Begin is called when a phase begins, a batch's with its hints. The work of the
	// phase goes on with the context returned.
	Begin(ctx context.Context, p Phase, hints ...Hint) (context.Context, End)
}

// Outcome is what became of a batch.
type Outcome struct {
	Saved
	Hints        int // before coalescing
	Tries        int // of the transaction; more than 1 after a deadlock or the like
	Dispositions map[Disposition]int
}

// Reconciler makes the database say of orders what service-order says.
type Reconciler struct {
	orders      OrderService
	store       Store
	matcher     *Matcher
	observer    Observer
	log         *slog.Logger
	concurrency int
}

// NewReconciler returns a Reconciler that asks orders, at most concurrency
// GETs a batch at a time, saves to store, and wakes matcher when an order was
// parked or a courier freed.
func NewReconciler(
	orders OrderService, store Store, matcher *Matcher, observer Observer, log *slog.Logger, concurrency int,
) *Reconciler {
	return &Reconciler{orders, store, matcher, observer, log, concurrency}
}

// Reconcile handles one batch. When it returns nil, every hint and letter of
// the batch is disposed of in a committed transaction. A RefusedError names the
// orders that the database will never take; the rest of the batch is saved.
// After any other error nothing is known: do it again. ErrPaused says when: once
// service-order answers.
func (r *Reconciler) Reconcile(ctx context.Context, b Batch) (err error) {
	ctx, end := r.observer.Begin(ctx, PhaseBatch, b.Hints...)
	defer func() { end(len(b.Hints), err) }()
	sightings, err := r.look(ctx, b)
	if err != nil {
		return err
	}
	return r.bisect(ctx, len(b.Hints), sightings, b.Letters)
}

// look asks service-order about every order hinted. When it turns out to be
// down for everybody, nothing of the batch is saved: Kafka is the buffer, and
// putting each order off would only copy it into the database.
func (r *Reconciler) look(ctx context.Context, b Batch) ([]sighting, error) {
	if len(b.Hints) == 0 {
		return nil, nil
	}
	if err := r.orders.Ready(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPaused, err)
	}
	asking, end := r.observer.Begin(ctx, PhaseAsk)
	sightings, err := ask(asking, r.orders, coalesce(b.Hints), r.concurrency, b.Asking)
	end(len(sightings), err)
	if err != nil {
		return nil, err
	}
	for _, s := range sightings {
		if s.kind() == kindUnavailable && r.orders.Tripped() {
			return nil, fmt.Errorf("%w: %w", ErrPaused, s.err)
		}
	}
	return sightings, nil
}

// save decides on the locked records and saves what changed, in ONE transaction.
func (r *Reconciler) save(ctx context.Context, hints int, sightings []sighting, letters []DeadLetter) error {
	return r.commit(ctx, hints, func(ctx context.Context, tx Tx) (Outcome, []decision, error) {
		return apply(ctx, tx, sightings, letters)
	})
}

// commit runs work in a transaction and reports what came of it.
func (r *Reconciler) commit(
	ctx context.Context, hints int, work func(context.Context, Tx) (Outcome, []decision, error),
) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), txTimeout)
	defer cancel()
	var outcome Outcome
	var decisions []decision
	phases := transaction{observer: r.observer}
	err := r.store.InTx(ctx, func(tx Tx) error {
		return phases.try(ctx, func(ctx context.Context) (n int, err error) {
			outcome, decisions, err = work(ctx, tx)
			return len(decisions), err
		})
	})
	phases.end(err)
	if err != nil {
		return err
	}
	outcome.Hints, outcome.Tries = hints, phases.tries
	r.report(ctx, outcome, decisions)
	return nil
}

// apply locks the records, decides on each and saves what changed.
func apply(ctx context.Context, tx Tx, sightings []sighting, letters []DeadLetter) (Outcome, []decision, error) {
	ids := make([]courier.OrderID, len(sightings))
	for i := range sightings {
		ids[i] = sightings[i].orderID
	}
	outcome := Outcome{Dispositions: make(map[Disposition]int, 5)}
	records, err := tx.LockOrders(ctx, ids)
	if err != nil {
		return outcome, nil, err
	}
	decisions := make([]decision, len(sightings))
	var changes []Change
	for i, s := range sightings {
		rec, known := records[s.orderID]
		if !known {
			rec = Record{OrderID: s.orderID}
		}
		d := decide(rec, s)
		decisions[i] = d
		outcome.Dispositions[d.disposition]++
		if d.next != rec {
			changes = append(changes, Change{From: rec.State, Next: d.next, Reason: d.reason, Source: s.source})
		}
	}
	if len(changes)+len(letters) > 0 {
		outcome.Saved, err = tx.Save(ctx, changes, letters)
	}
	return outcome, decisions, err
}

// report tells of a committed batch: numbers to the observer, what somebody
// may want to know of an order to the log, when it begins and when it ends. The
// matcher is woken, for somebody may have come into line or become free.
func (r *Reconciler) report(ctx context.Context, outcome Outcome, decisions []decision) {
	r.observer.Reconciled(outcome)
	if len(outcome.Transitions) > 0 {
		r.matcher.Wake()
	}
	if len(outcome.Assignments) > 0 {
		r.observer.Matched(outcome.Assignments)
	}
	for _, d := range decisions {
		look := d.next.Look
		switch begins := look.In > 0 && look.Count+look.Failures == 1; {
		case d.disposition == Ignored, d.disposition == Superseded:
			r.log.InfoContext(ctx, "hint came to nothing", slog.String("order_id", string(d.next.OrderID)),
				slog.String("disposition", string(d.disposition)), slog.String("reason", d.reason))
		case begins && look.Reason == ReasonUnknownStatus:
			r.log.WarnContext(ctx, "order has an unknown status",
				slog.String("order_id", string(d.next.OrderID)), slog.String("reason", d.reason))
		case begins:
			r.log.InfoContext(ctx, "order is looked at again later", slog.String("order_id", string(d.next.OrderID)),
				slog.String("why", string(look.Reason)), slog.String("reason", d.reason))
		}
	}
}
