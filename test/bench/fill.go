package main

import (
	"context"
	"fmt"
)

// fill makes the tables as large as years of work would: finished deliveries of
// a busy fleet, and a line. The orders of open are under way, and known to the
// neighbour; the ids are UUIDs, so that they lie all over the indexes.
func (s *stack) fill(ctx context.Context, o options, open orderRange, bar *progress) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	ids := make([]string, 0, open.len())
	for i := open.from; i < open.to; i++ {
		ids = append(ids, orderID(i))
	}
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
		{"counters", `update couriers c set deliveries = n from
			(select courier_id, count(*) as n from courier_orders where completed_at is not null group by 1) d where d.courier_id = c.id`, nil},
		{"orders", `insert into orders (order_id, state, place) select id, 'completed', i ` + history, []any{o.History}},
		{"journal", `insert into journal (order_id, what, courier_id, source, reason)
			select md5('done' || i)::uuid::text, what, 1 + i % $2::int, '0@' || i, 'service-order says ' || what
			from generate_series(1, $1::int) i, unnest('{waiting,assigned,completed}'::text[]) what`, []any{o.History, fullCouriers}},
		{"line", `insert into orders (order_id, state, place)
			select md5('line' || i)::uuid::text, 'waiting', nextval('order_places') from generate_series(1, $1::int) i`, []any{fullLine}},
		{"open", `with o as (select id, c from unnest($1::text[], array(select id from couriers order by id limit $2)) as t (id, c)),
			a as (insert into orders (order_id, state, place) select id, 'assigned', nextval('order_places') from o),
			b as (insert into courier_orders (order_id, courier_id, deadline) select id, c, now() + interval '1 h' from o)
			update couriers set status = 'busy', order_id = o.id from o where couriers.id = o.c`, []any{ids, open.len()}},
		{"vacuum", `vacuum analyze`, nil},
		// What was written last fills the buffers now. A server that has been at work has
		// there what every order takes: the indexes of random keys.
		{"buffers", `create extension if not exists pg_prewarm;
			select pg_prewarm(i) from unnest('{orders_pkey,courier_orders_pkey,journal_of_order}'::regclass[]) i`, nil},
		{"checkpoint", `checkpoint`, nil}, // so that every run begins as far from the next
	} {
		bar.step("filling: " + step.name)
		if _, err := conn.Exec(ctx, step.sql, step.args...); err != nil {
			return fmt.Errorf("fill %s: %w", step.name, err)
		}
	}
	return nil
}
