package orderevent

import (
	"context"
	"fmt"

	"service-courier/internal/courier"
)

// Command is what a person wants of an order. It runs in the transaction that
// has just saved what service-order says of the order, on the locked record as
// it is now (StateNone: there is none). missing says that service-order has no
// such order. It may run again from the start, so it must be repeatable; its
// error undoes the transaction.
type Command func(ctx context.Context, tx Tx, rec Record, missing bool) (Saved, error)

// Converge asks service-order about one order, saves the answer as for any
// event, and then runs command in the same transaction: what a person is told
// was true when it was done. source names him in the journal. The error matches
// courier.ErrOrdersUnavailable when service-order cannot be asked; nothing was
// changed then.
func (r *Reconciler) Converge(ctx context.Context, id courier.OrderID, source string, command Command) error {
	if err := r.orders.Ready(ctx); err != nil {
		return fmt.Errorf("%w: %w", courier.ErrOrdersUnavailable, err)
	}
	sightings, err := ask(ctx, r.orders, []subject{{orderID: id, asked: true, source: source}}, 1)
	if err != nil {
		return err
	}
	s := sightings[0]
	if s.kind() == kindUnavailable {
		return fmt.Errorf("%w: %w", courier.ErrOrdersUnavailable, s.err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), txTimeout)
	defer cancel()
	var outcome Outcome
	var decisions []decision
	err = r.store.InTx(ctx, func(tx Tx) (err error) {
		outcome, decisions, err = apply(ctx, tx, sightings, nil)
		if err != nil {
			return err
		}
		rec := decisions[0].next
		rec.Look.In = 0 // what was scheduled is saved
		done, err := command(ctx, tx, rec, s.kind() == kindMissing)
		outcome.Transitions = append(outcome.Transitions, done.Transitions...)
		outcome.Assignments = done.Assignments
		return err
	})
	if err != nil {
		return err
	}
	outcome.Hints = 1
	r.report(ctx, outcome, decisions)
	return nil
}
