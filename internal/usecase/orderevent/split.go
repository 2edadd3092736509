package orderevent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"

	"service-courier/internal/courier"
)

// ErrRefused means that these data can never be saved: PostgreSQL refuses a value or
// a constraint is violated, or processing them panics.
var ErrRefused = errors.New("cannot be saved")

// ErrPanicked marks an error that a panic caused.
var ErrPanicked = errors.New("panic")

// RefusedError names the orders of a batch that can never be saved, and why. The rest
// of the batch is saved.
type RefusedError struct {
	Orders map[courier.OrderID]error
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("orders that can never be saved: %d", len(e.Orders))
}

func refuse(id courier.OrderID, cause error) error {
	return &RefusedError{map[courier.OrderID]error{id: cause}}
}

// split saves a refused batch in halves until only the bad orders are left: one bad
// order must not block the others. An order is refused when it failed alone, twice,
// since a panic may be transient.
func (r *Reconciler) split(ctx context.Context, observations []observation, deadLetters []DeadLetter, cause error) error {
	if len(observations) == 0 {
		return cause
	}
	half := len(observations) / 2
	if half == 0 && len(deadLetters) == 0 {
		err := r.save(ctx, observations, nil, nil)
		if errors.Is(err, ErrRefused) {
			return refuse(observations[0].orderID, err)
		}
		return err
	}
	var refused error
	for _, part := range []struct {
		observations []observation
		deadLetters  []DeadLetter
	}{{observations[:half], deadLetters}, {observations[half:], nil}} {
		err := r.save(ctx, part.observations, part.deadLetters, nil)
		if errors.Is(err, ErrRefused) {
			err = r.split(ctx, part.observations, part.deadLetters, err)
		}
		refused = joinRefusals(refused, err)
	}
	return refused
}

// joinRefusals merges two RefusedErrors. Any other error means that something is not
// saved, and takes precedence.
func joinRefusals(a, b error) error {
	var left, right *RefusedError
	switch {
	case a == nil:
		return b
	case b == nil, !errors.As(a, &left):
		return a
	case !errors.As(b, &right):
		return b
	}
	all := maps.Clone(left.Orders)
	maps.Copy(all, right.Orders)
	return &RefusedError{all}
}

// recovered logs and counts a panic while processing these orders and returns it as an
// error.
func (r *Reconciler) recovered(ctx context.Context, value any, orders ...observation) error {
	attrs := []slog.Attr{slog.String("component", "order processing"), slog.Any("panic", value), slog.Int("orders", len(orders))}
	if len(orders) == 1 {
		attrs = append(attrs, slog.String("order_id", string(orders[0].orderID)))
	}
	attrs = append(attrs, slog.String("stack", string(debug.Stack())))
	r.log.LogAttrs(ctx, slog.LevelError, "panic recovered", attrs...)
	r.observer.Panicked()
	return fmt.Errorf("%w: %v", ErrPanicked, value)
}
