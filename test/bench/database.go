package main

import (
	"context"
	"errors"
	"fmt"

	"service-courier/internal/storage/postgres"
)

// fill makes the tables as large as after years of work: finished deliveries, busy
// couriers and a waiting queue. The orders of assigned are known to the order
// service; ids are UUIDs, so that they are spread over the indexes.
func (s *stack) fill(ctx context.Context, o options, assigned orderRange, bar *progress) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	const history = `from (select md5('done' || i)::uuid::text as id, i from generate_series(1, $1::int) i order by 1) h`
	for _, step := range []struct {
		name, sql string
		args      []any
	}{
		{"settings", `set statement_timeout = 0`, nil},
		{"couriers", `insert into couriers (name, phone, status, transport_type)
			select 'Courier', 'full-' || i, 'paused', 'car' from generate_series(1, $1::int) i`, []any{fullCouriers}},
		{"pause", `update couriers set status = 'paused' where status = 'available'`, nil},
		{"deliveries", `insert into courier_orders (order_id, courier_id, assigned_at, deadline, completed_at)
			select id, 1 + i % $2::int, now() - interval '1 h', now(), now() ` + history, []any{o.History, fullCouriers}},
		{"statistics", `select count_deliveries() from generate_series(1, 1 + $1::int / 100000)`, []any{o.History}},
		{"counters", `update couriers c set deliveries = n from
			(select courier_id, count(*) as n from courier_orders where completed_at is not null group by 1) d where d.courier_id = c.id`, nil},
		{"orders", `insert into orders (order_id, number, state, queue_position) overriding system value select id, i, 'completed', i ` + history, []any{o.History}},
		{"journal", `insert into journal (order_id, order_number, state, courier_id, source, reason)
			select md5('done' || i)::uuid::text, i, state, 1 + i % $2::int, '0@' || i, 'service-order reports ' || state
			from generate_series(1, $1::int) i, unnest('{waiting,assigned,completed}'::order_state[]) state`, []any{o.History, fullCouriers}},
		{"waiting orders", `insert into orders (order_id, state, queue_position)
			select md5('waiting' || i)::uuid::text, 'waiting', nextval('queue_positions') from generate_series(1, $1::int) i`, []any{fullWaiting}},
		{"assigned orders", `with o as (select id, c from unnest($1::text[], array(select id from couriers order by id limit $2)) as t (id, c)),
			a as (insert into orders (order_id, state, queue_position) select id, 'assigned', nextval('queue_positions') from o),
			b as (insert into courier_orders (order_id, courier_id, deadline) select id, c, now() + interval '1 h' from o)
			update couriers set status = 'busy', order_id = o.id from o where couriers.id = o.c`, []any{assigned.ids(), assigned.len()}},
		{"vacuum", `vacuum analyze`, nil},
		// The buffers now hold what was written last. On a server at work they hold what
		// every order needs: the indexes with random keys.
		{"buffers", `create extension if not exists pg_prewarm;
			select pg_prewarm(i) from unnest('{orders_pkey,courier_orders_pkey}'::regclass[]) i`, nil},
		{"checkpoint", `checkpoint`, nil}, // every run starts at the same distance from the next one
	} {
		bar.step("filling: " + step.name)
		if _, err := conn.Exec(ctx, step.sql, step.args...); err != nil {
			return fmt.Errorf("fill %s: %w", step.name, err)
		}
	}
	return nil
}

// checkpoint writes the dirty pages of earlier loads and lets PostgreSQL reuse its
// WAL files. Until the first checkpoint it creates each of them, which delays every
// COMMIT by some ten milliseconds.
func (s *stack) checkpoint(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "checkpoint")
	return err
}

// verify checks that so many orders are completed and assigned, that everything
// else follows from that, and every invariant.
func (s *stack) verify(ctx context.Context, completed, assigned int) error {
	var errs []error
	for _, e := range []struct {
		what  string
		query string
		want  int
	}{
		{"completed orders", "select count(*) from orders where state = 'completed'", completed},
		{"assigned orders", "select count(*) from orders where state = 'assigned'", assigned},
		{"orders", "select count(*) from orders", completed + assigned},
		{"busy couriers", "select count(*) from couriers where status = 'busy'", assigned},
		{"open deliveries", "select count(*) from courier_orders where completed_at is null", assigned},
		{"completed deliveries", "select count(*) from courier_orders where completed_at is not null", completed},
		{"counted deliveries", "select sum(deliveries) from couriers", completed},
		{"journal rows", "select count(*) from journal", 3*completed + 2*assigned},
		{"dead letters", "select count(*) from dead_letters", 0},
	} {
		var got int
		if err := s.pool.QueryRow(ctx, e.query).Scan(&got); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.what, err))
		} else if got != e.want {
			errs = append(errs, fmt.Errorf("%s: %d, want %d", e.what, got, e.want))
		}
	}
	return errors.Join(append(errs, s.checkInvariants(ctx))...)
}

func (s *stack) checkInvariants(ctx context.Context) error {
	// The check reads every courier's deliveries, for which the service needs no index.
	if _, err := s.pool.Exec(ctx, "set statement_timeout = 0; create index on courier_orders (courier_id); analyze courier_orders"); err != nil {
		return err
	}
	violations, err := postgres.CheckInvariants(ctx, s.pool)
	for _, v := range violations[:min(len(violations), 10)] {
		err = errors.Join(err, fmt.Errorf("%s: %s", v.Invariant, v.Subject))
	}
	return err
}
