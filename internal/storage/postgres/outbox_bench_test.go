package postgres_test

import (
	"context"
	"testing"
	"time"

	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/outbox"
)

// discard is a broker that takes no time.
type discard struct{ events int }

func (d *discard) Publish(_ context.Context, events []outbox.Event) error {
	d.events += len(events)
	return nil
}

// BenchmarkOutbox reads a backlog of b.N transitions, three of each order, without Kafka.
func BenchmarkOutbox(b *testing.B) {
	pool, err := postgres.Open(b.Context(), pgtest.NewDatabase(b, postgres.Migrate), 2)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	for _, fill := range []struct {
		sql  string
		args []any
	}{
		{sql: `INSERT INTO couriers (name, phone) SELECT 'c', '+' || i FROM generate_series(1, 200) i`},
		{`INSERT INTO orders (order_id, state) SELECT gen_random_uuid(), 'completed' FROM generate_series(1, $1::int / 3 + 1)`, []any{b.N}},
		{sql: `INSERT INTO courier_orders (order_id, courier_id, deadline, completed_at)
			SELECT order_id, 1 + (row_number() OVER ()) % 200, now() + interval '1 hour', now() FROM orders`},
		{`INSERT INTO journal (order_id, state, courier_id, source, deadline)
			SELECT order_id, s, courier_id, '3@4711', deadline
			FROM (SELECT *, row_number() OVER (ORDER BY order_id) / 500 AS batch FROM courier_orders) d,
			     unnest('{waiting,assigned,completed}'::order_state[]) s ORDER BY batch, s LIMIT $1`, []any{b.N}},
	} {
		if _, err := pool.Exec(b.Context(), fill.sql, fill.args...); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := pool.Exec(b.Context(), "VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
	positions, to := postgres.NewOutbox(pool), &discard{}
	if err := positions.Begin(b.Context(), livefeed.Cursor{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	if err := outbox.New(postgres.NewTransitions(pool), positions, to).Publish(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(to.events)/time.Since(began).Seconds(), "events/s")
	if to.events != b.N {
		b.Fatalf("%d of %d events", to.events, b.N)
	}
}
