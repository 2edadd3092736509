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
			t.Errorf("not told: %s", l)
		}
	}
}

// TestScrapeDoesNotWaitForPostgres: a database that does not answer costs a
// scrape less than a second, and its gauges are absent, not old. Those who scrape
// shortly after cost it nothing.
func TestScrapeDoesNotWaitForPostgres(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int32
		away := true
		m := metrics.New()
		m.WatchState(func(ctx context.Context) (metrics.State, error) {
			reads.Add(1)
			if away {
				<-ctx.Done()
				return metrics.State{}, ctx.Err()
			}
			return metrics.State{Couriers: map[string]int{"busy": 3}, Late: 2, OldestLetter: 90 * time.Second}, nil
		}, func() metrics.Pool { return metrics.Pool{Acquired: 12, Max: 12} })
		began := time.Now()
		text := scrape(m)
		if took := time.Since(began); took >= time.Second {
			t.Errorf("the scrape took %v", took)
		}
		expect(t, text, "courier_database_up 0", `courier_database_connections{state="acquired"} 12`)
		if strings.Contains(text, "courier_late_deliveries ") {
			t.Error("it tells of late deliveries that it has not read")
		}
		scrape(m)
		if n := reads.Load(); n != 1 {
			t.Errorf("two scrapes read %d times", n)
		}
		away = false
		<-time.After(10 * time.Second)
		expect(t, scrape(m), "courier_database_up 1", `courier_couriers{status="busy"} 3`, "courier_late_deliveries 2", "courier_dead_letter_oldest_seconds 90")
	})
}

// TestLagIsAskedForWhenItIsScraped: it moves while nobody tells of it. That of a
// partition whose beginning is not known is absent, not 0.
func TestLagIsAskedForWhenItIsScraped(t *testing.T) {
	m := metrics.New()
	end := int64(7)
	m.Claimed(0, func() (int64, bool) { return end, true })
	m.Claimed(1, func() (int64, bool) { return 0, false })
	expect(t, scrape(m), `courier_kafka_lag_records{partition="0"} 7`)
	end = 9
	text := scrape(m)
	expect(t, text, `courier_kafka_lag_records{partition="0"} 9`)
	m.Forget(0)
	if text += scrape(m); strings.Contains(text, `{partition="1"}`) || strings.Count(text, "courier_kafka_lag_records{") != 1 {
		t.Error("it tells the lag of a partition whose beginning it does not know, or that it has lost")
	}
}

func TestConsumerIsJoinedWhileNothingKeepsIt(t *testing.T) {
	m := metrics.New()
	status := errors.New("not joined")
	m.WatchConsumer(func() error { return status })
	expect(t, scrape(m), "courier_consumer_joined 0")
	status = nil
	expect(t, scrape(m), "courier_consumer_joined 1")
}

// TestNothingIsBrokenOnlyAfterAnAudit: before the first, and if each fails, 0 would be
// a lie.
func TestNothingIsBrokenOnlyAfterAnAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New()
		if text := scrape(m); strings.Contains(text, "courier_invariants_broken") || strings.Contains(text, "courier_audit_finished") {
			t.Error("it tells of an audit that never was")
		}
		m.Broken(0)
		finished := strconv.FormatFloat(float64(time.Now().Unix()), 'g', -1, 64)
		expect(t, scrape(m), "courier_invariants_broken 0", "courier_audit_finished_timestamp_seconds "+finished)
	})
}

type answers map[courier.OrderID]error

func (a answers) Get(_ context.Context, id courier.OrderID) (order.Order, error) {
	return order.Order{ID: id}, a[id]
}

func TestWorkIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New()
		for _, p := range []orderevent.Phase{orderevent.PhaseBatch, orderevent.PhaseMatch, orderevent.PhaseMatch} {
			_, end := m.Begin(t.Context(), p)
			<-time.After(30 * time.Millisecond)
			end(1, nil)
		}
		_, end := m.Begin(t.Context(), orderevent.PhaseMatch)
		end(0, nil) // nothing to do
		m.Reconciled(orderevent.Outcome{Tries: 3, Hints: 2})
		m.Saved(3)
		m.Served(http.MethodGet, "/couriers", http.StatusOK, 30*time.Millisecond)
		client := m.MeasureGets(answers{"lost": order.ErrNotFound, "late": errors.New("timeout")})
		for _, id := range []courier.OrderID{"a", "b", "lost", "late"} {
			_, _ = client.Get(t.Context(), id)
		}
		expect(t, scrape(m),
			`courier_phase_duration_seconds_bucket{phase="batch",le="0.025"} 0`, `courier_phase_duration_seconds_bucket{phase="batch",le="0.05"} 1`,
			`courier_phase_duration_seconds_count{phase="match"} 2`, "courier_transaction_retries_total 2",
			"courier_records_total 3", "courier_hints_total 2",
			`courier_http_request_duration_seconds_count{code="200",method="GET",route="/couriers"} 1`,
			`courier_order_get_duration_seconds_count{result="found"} 2`, `courier_order_get_duration_seconds_count{result="not_found"} 1`,
			`courier_order_get_duration_seconds_count{result="unavailable"} 1`,
		)
	})
}
