package orderevent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"service-courier/internal/courier"
)

// txTimeout bounds the transaction of a batch. The transaction does not use the
// deadline of the batch: a revoked partition or a shutdown lets it finish.
const txTimeout = 3 * time.Second

// Reconciler brings orders in the database up to date with service-order.
type Reconciler struct {
	orders      OrderService
	store       Store
	matcher     *Matcher
	observer    Observer
	log         *slog.Logger
	concurrency int
	summaries   *summaries
}

// NewReconciler returns a Reconciler that fetches at most concurrency orders of a
// batch at a time and triggers matcher when an order was queued or a courier freed.
func NewReconciler(
	orders OrderService, store Store, matcher *Matcher, observer Observer, log *slog.Logger, concurrency int,
) *Reconciler {
	return &Reconciler{orders, store, matcher, observer, log, concurrency, &summaries{log: log, lines: make(map[line]summary)}}
}

// Reconcile processes one batch. After nil, every hint and dead letter is saved in a
// committed transaction. A RefusedError names the orders that can never be saved; the
// rest of the batch is saved. After any other error nothing is known: submit the batch
// again; after ErrPaused, once service-order is available. starting, unless nil, is
// called before the GET of each order.
func (r *Reconciler) Reconcile(ctx context.Context, b Batch, starting func(courier.OrderID)) (err error) {
	ctx, end := r.observer.Begin(ctx, PhaseBatch, b.Hints...)
	defer func() { end(len(b.Hints), err) }()
	observations, refused, err := r.fetch(ctx, mergeHints(b.Hints), starting)
	if err != nil {
		return err
	}
	err = r.save(ctx, observations, b.DeadLetters, nil)
	if errors.Is(err, ErrRefused) {
		err = r.split(ctx, observations, b.DeadLetters, err)
	}
	return joinRefusals(refused, err)
}

// Command is what a dispatcher or a deadline does with an order. It runs in the
// transaction that has just saved the answer of service-order, on the locked order
// (StateNone: there is no row). missing means that service-order answered 404. It may
// run more than once; its error rolls the transaction back.
type Command func(ctx context.Context, tx Tx, o Order, missing bool) (Effects, error)

// Execute fetches one order, saves the answer as for any event, and runs command in
// the same transaction. source names the caller in the journal. The error matches
// courier.ErrOrdersUnavailable when the fetch failed; then nothing was changed.
func (r *Reconciler) Execute(ctx context.Context, id courier.OrderID, source string, command Command) error {
	observations, refused, err := r.fetch(ctx, []mergedHint{{orderID: id, hints: 1, command: true, source: source}}, nil)
	switch {
	case errors.Is(err, ErrPaused):
		return ordersUnavailable(err)
	case err != nil || refused != nil:
		return errors.Join(err, refused)
	case observations[0].kind() == kindUnavailable:
		return ordersUnavailable(observations[0].err)
	}
	return r.save(ctx, observations, nil, command)
}

// ordersUnavailable returns an error that matches courier.ErrOrdersUnavailable and says so once.
func ordersUnavailable(err error) error {
	if errors.Is(err, courier.ErrOrdersUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", courier.ErrOrdersUnavailable, err)
}

// save locks the orders, decides on each and writes what changed, in one transaction
// that may run more than once. A panic in it is a refusal.
func (r *Reconciler) save(ctx context.Context, observations []observation, deadLetters []DeadLetter, command Command) error {
	if len(observations)+len(deadLetters) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), txTimeout)
	defer cancel()
	match := 0
	if command == nil && len(observations) <= smallBatch {
		if release, ok := r.matcher.reserve(); ok {
			defer release()
			match = smallBatch
		}
	}
	var result BatchResult
	var decisions []decision
	phases := savePhases{observer: r.observer, orders: len(observations)}
	run := func(tx Tx) (err error) {
		saving := phases.begin(ctx)
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: %w", ErrRefused, r.recovered(ctx, p, observations...))
			}
			phases.saved(ctx, err)
		}()
		locked, err := tx.LockOrders(saving, orderIDs(observations))
		if err != nil {
			return err
		}
		var changes []Change
		decisions, changes = decideAll(locked, observations)
		if !slices.ContainsFunc(changes, Change.moves) {
			match = 0
		}
		result = BatchResult{Tries: phases.runs}
		switch {
		case len(changes)+len(deadLetters) == 0:
		case command == nil:
			phases.saved(ctx, nil)
			result.Effects, err = tx.SaveAndCommit(ctx, changes, deadLetters, match)
		default:
			result.Effects, err = tx.Save(saving, changes)
		}
		if err != nil || command == nil {
			return err
		}
		done, err := command(saving, tx, decisions[0].next, observations[0].kind() == kindMissing)
		result.Transitions = append(result.Transitions, done.Transitions...)
		result.Assignments = done.Assignments
		return err
	}
	err := r.store.InTx(ctx, run)
	if err != nil && match > 0 && !errors.Is(err, ErrPanicked) { // a match that fails must not stop the batch
		match = 0
		err = r.store.InTx(ctx, run)
	}
	phases.committed(err)
	if err == nil {
		r.report(ctx, result, observations, decisions)
	}
	return err
}

// errRetried is the error of a commit phase whose transaction runs again.
var errRetried = errors.New("transaction retried")

// savePhases reports the phases of each run of the transaction of a batch.
type savePhases struct {
	observer           Observer
	orders, runs       int
	endSave, endCommit End // endCommit is nil when no commit is going on
}

// begin begins a run. A commit before it was not the last one.
func (p *savePhases) begin(ctx context.Context) context.Context {
	p.committed(errRetried)
	p.runs++
	ctx, p.endSave = p.observer.Begin(ctx, PhaseSave)
	return ctx
}

// saved ends the phase save, unless it has ended. Without an error the commit follows.
func (p *savePhases) saved(ctx context.Context, err error) {
	if p.endSave == nil {
		return
	}
	p.endSave(p.orders, err)
	p.endSave = nil
	if err == nil {
		_, p.endCommit = p.observer.Begin(ctx, PhaseCommit)
	}
}

// committed ends the phase commit, if there is one.
func (p *savePhases) committed(err error) {
	if p.endCommit != nil {
		p.endCommit(p.orders, err)
		p.endCommit = nil
	}
}

// decideAll decides on every order as it was locked.
func decideAll(locked map[courier.OrderID]Order, observations []observation) ([]decision, []Change) {
	decisions := make([]decision, len(observations))
	changes := make([]Change, 0, len(observations))
	for i, obs := range observations {
		current, known := locked[obs.orderID]
		if !known {
			current = Order{OrderID: obs.orderID}
		}
		decisions[i] = decide(current, obs)
		if d := &decisions[i]; d.next != current {
			changes = append(changes, Change{From: current.State, Next: d.next, Reason: d.reason, Source: obs.source})
		}
	}
	return decisions, changes
}

func orderIDs(observations []observation) []courier.OrderID {
	ids := make([]courier.OrderID, len(observations))
	for i := range observations {
		ids[i] = observations[i].orderID
	}
	return ids
}

// report triggers matching and reports a committed batch: numbers to the observer,
// ignored events and new rechecks to the log.
func (r *Reconciler) report(ctx context.Context, result BatchResult, observations []observation, decisions []decision) {
	if matchedAll := result.Matched && len(result.Assignments) < smallBatch; len(result.Transitions) > 0 && !matchedAll {
		r.matcher.Trigger()
	}
	result.Outcomes = make(map[Outcome]int, 5)
	for i, d := range decisions {
		result.Hints += observations[i].hints
		result.Outcomes[d.outcome]++
	}
	r.summaries.report(ctx, decisions)
	r.observer.Reconciled(result)
	if len(result.Assignments) > 0 {
		r.observer.Matched(result.Assignments)
	}
}
