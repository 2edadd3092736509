package postgres_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/statistics"
)

var deliveries = flag.Int("deliveries", 100_000, "finished deliveries behind BenchmarkStatistics")

// BenchmarkStatistics reads the statistics of a year in which 2,000 couriers made all
// deliveries, and logs how long counting them again takes:
//
//	go test ./internal/storage/postgres -run '^$' -bench Statistics -v -deliveries 10000000
func BenchmarkStatistics(b *testing.B) {
	pool, err := postgres.Open(b.Context(), pgtest.NewDatabase(b, postgres.Migrate), 1)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	fillStatistics(b, pool)
	store := postgres.NewStatistics(pool)
	year := statistics.Period{From: day("2025-01-01"), To: day("2025-12-31")}
	month := statistics.Period{From: day("2025-06-01"), To: day("2025-06-30")}
	for name, ask := range map[string]func(context.Context) (int, error){
		"all couriers, a year by day": func(ctx context.Context) (int, error) {
			days, err := store.Days(ctx, year)
			return len(days), err
		},
		"a courier, a year by day": func(ctx context.Context) (int, error) {
			days, err := store.Courier(ctx, 1000, year)
			return len(days), err
		},
		"50 couriers, a month": func(ctx context.Context) (int, error) {
			couriers, err := store.Couriers(ctx, month, 1000, 51)
			return len(couriers), err
		},
		"a page of couriers, a year": func(ctx context.Context) (int, error) {
			couriers, err := store.Couriers(ctx, year, 1000, year.PageSize(100)+1)
			return len(couriers), err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := ask(b.Context()); err != nil || n < 30 {
					b.Fatalf("%d rows, %v", n, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N), "ms/op")
		})
	}
}

func day(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

func fillStatistics(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	for _, step := range []struct {
		what, sql string
		args      []any
	}{
		{"", `SET statement_timeout = 0`, nil},
		{"", `SET enable_seqscan = on`, nil}, // as in the migration's session
		{"", `ALTER TABLE courier_orders DISABLE TRIGGER USER`, nil},
		{"", `INSERT INTO couriers (name, phone) SELECT 'c', i FROM generate_series(1, 2000) i`, nil},
		{"the deliveries", `INSERT INTO courier_orders (order_id, courier_id, assigned_at, deadline, completed_at, waiting_since)
			SELECT 'o' || i, 1 + i % 2000, at, at + interval '15 min', at + interval '1 min' * (3 + 17 * random()), at - interval '1 min' * random()
			FROM generate_series(1, $1::int) i, LATERAL (SELECT timestamptz '2025-01-01 12:00Z' + interval '364 days' * (i::float8 / $1)) x (at)`, []any{*deliveries}},
		{"", `ALTER TABLE courier_orders ENABLE TRIGGER USER`, nil},
		{"counting them", `CALL repair_statistics()`, nil},
		{"", `VACUUM ANALYZE`, nil},
		{"", `SET enable_seqscan = off`, nil},
	} {
		began := time.Now()
		if _, err := pool.Exec(b.Context(), step.sql, step.args...); err != nil {
			b.Fatalf("%s: %v", step.sql, err)
		}
		if step.what != "" {
			b.Logf("%s took %v", step.what, time.Since(began).Round(10*time.Millisecond))
		}
	}
}
