package orderevent

import (
	"context"
	"fmt"

	"service-courier/internal/courier"
)

// Command is what a person, or a deadline, wants of an order. It runs in the transaction that
// has just saved what service-order says of the order, on the locked record as
// it is now (StateNone: there is none). missing says that service-order has no
// such order. It may run again from the start, so it must be repeatable; its
// error undoes the transaction.
type Command func(ctx context.Context, tx Tx, rec Record, missing bool) (Saved, error)

// Converge asks service-order about one order, saves the answer as for any
// event, and then runs command in the same transaction: what its giver is told
// was true when it was done. source names the giver in the journal. The error matches
// courier.ErrOrdersUnavailable when service-order cannot be asked; nothing was
// changed then.
func (r *Reconciler) Converge(ctx context.Context, id courier.OrderID, source string, command Command) error {
	if err := r.orders.Ready(ctx); err != nil {
		return fmt.Errorf("%w: %w", courier.ErrOrdersUnavailable, err)
	}
	sightings, err := ask(ctx, r.orders, []subject{{orderID: id, asked: true, source: source}}, 1, nil)
	if err != nil {
		return err
	}
	s := sightings[0]
	if s.kind() == kindUnavailable {
		return fmt.Errorf("%w: %w", courier.ErrOrdersUnavailable, s.err)
	}
	return r.commit(ctx, 1, func(ctx context.Context, tx Tx) (Outcome, []decision, error) {
		outcome, decisions, err := apply(ctx, tx, sightings, nil)
		if err != nil {
			return outcome, nil, err
		}
		done, err := command(ctx, tx, decisions[0].next, s.kind() == kindMissing)
		outcome.Transitions = append(outcome.Transitions, done.Transitions...)
		outcome.Assignments = done.Assignments
		return outcome, decisions, err
	})
}
