package orderevent

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"service-courier/internal/courier"
)

// ErrRefused says that the database will never take what it was given: a value
// or a constraint is in the way, not the moment.
var ErrRefused = errors.New("the database refuses the data")

// RefusedError names the orders of a batch that the database refuses, and why.
// Everything else of the batch is saved.
type RefusedError struct {
	Orders map[courier.OrderID]error
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%v of %d orders", ErrRefused, len(e.Orders))
}

// bisect saves a batch, and when the database refuses it halves it until only
// the bad ones are left: one bad record must not keep the others waiting.
func (r *Reconciler) bisect(ctx context.Context, hints int, sightings []sighting, letters []DeadLetter) error {
	err := r.save(ctx, hints, sightings, letters)
	if !errors.Is(err, ErrRefused) || len(sightings) == 0 {
		return err
	}
	if len(sightings) == 1 && len(letters) == 0 {
		return &RefusedError{map[courier.OrderID]error{sightings[0].orderID: err}}
	}
	half := len(sightings) / 2
	first := r.bisect(ctx, half, sightings[:half], letters)
	return join(first, r.bisect(ctx, len(sightings)-half, sightings[half:], nil))
}

// join puts two refusals into one; any other error means that something is not
// saved, and comes first.
func join(a, b error) error {
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
