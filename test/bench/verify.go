package main

import (
	"context"
	"errors"
	"fmt"

	"service-courier/internal/storage/postgres"
)

// expectation is a number that the database must hold.
type expectation struct {
	what  string
	query string
	want  int
}

// verifyCreated sees that every order is on its way.
func (s *stack) verifyCreated(ctx context.Context, o options) error {
	return s.expect(
		ctx,
		expectation{"orders assigned", "select count(*) from orders where state = 'assigned'", o.Orders},
		expectation{"couriers busy", "select count(*) from couriers where status = 'busy'", o.Orders},
		expectation{"deliveries open", "select count(*) from courier_orders where completed_at is null", o.Orders},
	)
}

// verifyCompleted sees that every order is delivered, every courier free, and
// nothing broken on the way.
func (s *stack) verifyCompleted(ctx context.Context, o options) error {
	err := s.expect(
		ctx,
		expectation{"orders completed", "select count(*) from orders where state = 'completed'", o.Orders},
		expectation{"orders", "select count(*) from orders", o.Orders},
		expectation{"couriers free", "select count(*) from couriers where status = 'available'", o.Couriers},
		expectation{"deliveries counted", "select sum(deliveries) from couriers", o.Orders},
		expectation{"journal rows", "select count(*) from journal", 3 * o.Orders},
		expectation{"dead letters", "select count(*) from dead_letters", 0},
	)
	return errors.Join(err, s.checkInvariants(ctx))
}

func (s *stack) checkInvariants(ctx context.Context) error {
	// The check looks up every courier's deliveries, for which the service itself
	// needs no index. Nothing is measured any more.
	if _, err := s.pool.Exec(ctx, "create index on courier_orders (courier_id); analyze courier_orders"); err != nil {
		return err
	}
	violations, err := postgres.CheckInvariants(ctx, s.pool)
	for _, v := range violations[:min(len(violations), 10)] {
		err = errors.Join(err, fmt.Errorf("%s: %s", v.Promise, v.Who))
	}
	return err
}

func (s *stack) expect(ctx context.Context, all ...expectation) error {
	var errs []error
	for _, e := range all {
		var got int
		if err := s.pool.QueryRow(ctx, e.query).Scan(&got); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.what, err))
		} else if got != e.want {
			errs = append(errs, fmt.Errorf("%s: %d, must be %d", e.what, got, e.want))
		}
	}
	return errors.Join(errs...)
}
