package postgres_test

import (
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
)

func TestGaugesCount(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting), to("h", courier.StateWaiting))
	f.save(to("h", courier.StateHeld))
	f.match(1)
	f.exec("UPDATE courier_orders SET assigned_at = now() - interval '1 hour', deadline = now() - interval '1 minute'")
	f.exec("UPDATE orders SET look_due_at = now() - interval '1 second', look_reason = 'missing', look_token = 1 WHERE order_id = 'h'")
	f.exec("INSERT INTO dead_letters (topic, partition, \"offset\", produced_at, reason, created_at) VALUES ('t', 0, 1, now(), 'not_json', now() - interval '1 minute')")
	g, err := postgres.NewHealth(f.pool).Gauges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if g.DeadLetters.Oldest.Seconds() < 60 {
		t.Errorf("the oldest letter waits for %v", g.DeadLetters.Oldest)
	}
	g.DeadLetters.Oldest = 0
	want := postgres.Gauges{Available: 2, Busy: 1, Held: 1, Late: 1, Missing: 1, LooksDue: 1, DeadLetters: postgres.Backlog{Count: 1}}
	if g != want {
		t.Errorf("gauges %+v, want %+v", g, want)
	}
}
