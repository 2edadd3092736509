package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/metrics"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func scrape(m *metrics.Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)) //nolint:noctx // in memory
	return w.Body.String()
}

func expect(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(text, "\n"+l+"\n") {
			t.Errorf("line is missing: %s", l)
		}
	}
}

// TestScrapeDoesNotWaitForPostgres: a database that does not answer delays a scrape by
// less than a second, and its gauges are absent, not stale. Further scrapes shortly
// afterwards do not read it again.
func TestScrapeDoesNotWaitForPostgres(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int32
		away := true
		m := metrics.New()
		m.RegisterDatabase(func(ctx context.Context) (metrics.Gauges, error) {
			reads.Add(1)
			if away {
				<-ctx.Done()
				return metrics.Gauges{}, ctx.Err()
			}
			return metrics.Gauges{Busy: 3, Overdue: 2, OldestDeadLetter: 90 * time.Second}, nil
		}, func() map[string]metrics.Pool { return map[string]metrics.Pool{"api": {Acquired: 8, Max: 8}} })
		began := time.Now()
		text := scrape(m)
		if took := time.Since(began); took >= time.Second {
			t.Errorf("the scrape took %v", took)
		}
		expect(t, text, "courier_database_up 0", `courier_database_connections{pool="api",state="acquired"} 8`)
		if strings.Contains(text, "courier_deliveries_overdue ") {
			t.Error("the scrape has overdue deliveries, which were not read")
		}
		scrape(m)
		if n := reads.Load(); n != 1 {
			t.Errorf("two scrapes read %d times", n)
		}
		away = false
		<-time.After(10 * time.Second)
		expect(t, scrape(m), "courier_database_up 1", `courier_couriers{status="busy"} 3`, "courier_deliveries_overdue 2", "courier_dead_letter_oldest_seconds 90")
	})
}

// TestLagIsReadAtEachScrape, also while no event is processed. The lag of a partition
// whose first offset is unknown is absent, not 0.
func TestLagIsReadAtEachScrape(t *testing.T) {
	m := metrics.New()
	end := int64(7)
	m.Claimed(0, func() (int64, bool) { return end, true })
	m.Claimed(1, func() (int64, bool) { return 0, false })
	expect(t, scrape(m), `courier_kafka_lag_records{partition="0"} 7`)
	end = 9
	text := scrape(m)
	expect(t, text, `courier_kafka_lag_records{partition="0"} 9`)
	m.Released(0)
	if text += scrape(m); strings.Contains(text, `{partition="1"}`) || strings.Count(text, "courier_kafka_lag_records{") != 1 {
		t.Error("the scrape has the lag of a partition that is unknown or was released")
	}
}

func TestConsumerJoined(t *testing.T) {
	m := metrics.New()
	status := errors.New("not joined")
	m.RegisterConsumer(func() error { return status })
	expect(t, scrape(m), "courier_consumer_joined 0")
	status = nil
	expect(t, scrape(m), "courier_consumer_joined 1")
}

// TestNoViolationsOnlyAfterACheck: before the first check, and while every check fails,
// 0 would be wrong.
func TestNoViolationsOnlyAfterACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New()
		if text := scrape(m); strings.Contains(text, "courier_invariants_violated") || strings.Contains(text, "courier_invariant_check_finished") {
			t.Error("the scrape has the result of a check that never finished")
		}
		m.InvariantsChecked(0)
		finished := strconv.FormatFloat(float64(time.Now().Unix()), 'g', -1, 64)
		expect(t, scrape(m), "courier_invariants_violated 0", "courier_invariant_check_finished_timestamp_seconds "+finished)
	})
}

type answers map[courier.OrderID]error

func (a answers) Get(_ context.Context, id courier.OrderID) (order.Order, error) {
	return order.Order{ID: id}, a[id]
}

func TestProcessingIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New()
		for _, p := range []orderevent.Phase{orderevent.PhaseBatch, orderevent.PhaseMatch, orderevent.PhaseMatch} {
			_, end := m.Begin(t.Context(), p)
			<-time.After(30 * time.Millisecond)
			end(1, nil)
		}
		_, end := m.Begin(t.Context(), orderevent.PhaseMatch)
		end(0, nil) // nothing to do
		m.Reconciled(orderevent.BatchResult{Tries: 3, Hints: 2})
		m.Saved(3)
		m.Served(http.MethodGet, "/couriers", http.StatusOK, 30*time.Millisecond)
		client := m.MeasureFetches("http", answers{"lost": order.ErrNotFound, "late": errors.New("timeout")})
		for _, id := range []courier.OrderID{"a", "b", "lost", "late"} {
			_, _ = client.Get(t.Context(), id)
		}
		expect(t, scrape(m),
			`courier_phase_duration_seconds_bucket{phase="batch",le="0.025"} 0`, `courier_phase_duration_seconds_bucket{phase="batch",le="0.05"} 1`,
			`courier_phase_duration_seconds_count{phase="match"} 2`, "courier_transaction_retries_total 2",
			"courier_records_total 3", "courier_hints_total 2",
			`courier_http_request_duration_seconds_count{code="200",method="GET",route="/couriers"} 1`,
			`courier_order_fetch_duration_seconds_count{result="found",transport="http"} 2`, `courier_order_fetch_duration_seconds_count{result="not_found",transport="http"} 1`,
			`courier_order_fetch_duration_seconds_count{result="unavailable",transport="http"} 1`,
		)
	})
}

// TestTaskResults: a skipped round has no duration, and only a success has a timestamp.
func TestTaskResults(t *testing.T) {
	m := metrics.New()
	m.TaskFinished("recheck", worker.Skipped, time.Second)
	m.TaskFinished("recheck", worker.Panicked, time.Second)
	text := scrape(m)
	expect(t, text, `courier_task_runs_total{result="skipped",task="recheck"} 1`, `courier_task_runs_total{result="panicked",task="recheck"} 1`,
		`courier_task_duration_seconds_count{task="recheck"} 1`)
	if strings.Contains(text, "courier_task_last_success_timestamp_seconds{") {
		t.Error("the scrape has a success")
	}
	m.TaskFinished("recheck", worker.Succeeded, time.Second)
	if !strings.Contains(scrape(m), `courier_task_last_success_timestamp_seconds{task="recheck"} `) {
		t.Error("the scrape has no success")
	}
}
