package main

import (
	"context"
	"errors"
	"fmt"

	"service-courier/internal/storage/postgres"
)

// verify sees that every order went where it should, and that nothing broke on
// the way: so many completed, so many with a courier.
func (s *stack) verify(ctx context.Context, completed, assigned int) error {
	var errs []error
	for _, e := range []struct {
		what  string
		query string
		want  int
	}{
		{"orders completed", "select count(*) from orders where state = 'completed'", completed},
		{"orders assigned", "select count(*) from orders where state = 'assigned'", assigned},
		{"orders", "select count(*) from orders", completed + assigned},
		{"couriers busy", "select count(*) from couriers where status = 'busy'", assigned},
		{"deliveries open", "select count(*) from courier_orders where completed_at is null", assigned},
		{"deliveries completed", "select count(*) from courier_orders where completed_at is not null", completed},
		{"deliveries counted", "select sum(deliveries) from couriers", completed},
		{"journal rows", "select count(*) from journal", 3*completed + 2*assigned},
		{"dead letters", "select count(*) from dead_letters", 0},
	} {
		var got int
		if err := s.pool.QueryRow(ctx, e.query).Scan(&got); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.what, err))
		} else if got != e.want {
			errs = append(errs, fmt.Errorf("%s: %d, must be %d", e.what, got, e.want))
		}
	}
	return errors.Join(append(errs, s.checkInvariants(ctx))...)
}

func (s *stack) checkInvariants(ctx context.Context) error {
	// The check looks up every courier's deliveries, for which the service itself
	// needs no index. Nothing is measured any more.
	if _, err := s.pool.Exec(ctx, "set statement_timeout = 0; create index on courier_orders (courier_id); analyze courier_orders"); err != nil {
		return err
	}
	violations, err := postgres.CheckInvariants(ctx, s.pool)
	for _, v := range violations[:min(len(violations), 10)] {
		err = errors.Join(err, fmt.Errorf("%s: %s", v.Promise, v.Who))
	}
	return err
}
