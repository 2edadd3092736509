package faults

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/devpostgres"
)

// TestHealthAndMetricsAnswerWithoutPostgres: PostgreSQL is read-only, its pool is used
// up by sessions that wait for a foreign lock, or it is down. Probes and metrics are
// answered at once, the outage is logged, and afterwards the work continues without a
// dead letter. It fails when /livez queries the database (tried).
func TestHealthAndMetricsAnswerWithoutPostgres(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(w *world, pg *devpostgres.Server, url string) (heal func()){
		"read-only": func(w *world, _ *devpostgres.Server, _ string) func() {
			w.readOnly("on")
			return func() { w.readOnly("off") }
		},
		"pool exhausted by foreign locks": func(w *world, _ *devpostgres.Server, url string) func() {
			unlock := w.locked("orders, couriers")
			leave := w.clients(url+"/couriers", 24)
			w.sessionsWait(8)
			return func() { unlock(); leave() }
		},
		"down": func(w *world, pg *devpostgres.Server, _ string) func() {
			pg.Kill()
			// The second failed round comes after the report of the first.
			w.eventually("a task has failed too", func() bool {
				return w.metric("courier_task_runs_total", `result="failed",task="recheck"`) >= 2
			})
			return func() {
				w.must(pg.Restart(w.Context()))
				w.eventually("PostgreSQL answers", func() bool { return w.pool.Ping(w.Context()) == nil })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "down" {
				citest.Only(t, "each case starts its own PostgreSQL")
			}
			t.Parallel()
			w, pg := newWorldWithOwnServer(t, 10)
			w.serve()
			url := w.serviceURL()
			w.create(3)
			w.eventually("three are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
			heal := harm(w, pg, url)
			w.lagIsKnown(url)
			w.create(5)
			w.eventually("the outage is logged", func() bool {
				w.probesAnswer(url)
				return w.logs.times(`component="saving order events"`)+w.logs.times("component=postgresql") >= 1
			})
			heal()
			w.converges()
			if name == "down" { // one line for the batches and every task
				w.eventually("the end is logged", func() bool { return w.logs.times("dependency recovered") > 0 })
				if begun, ended := w.logs.times("dependency unavailable"), w.logs.times("dependency recovered"); begun != 1 || ended != 1 {
					t.Errorf("the outage is logged %d times, its end %d times, want once", begun, ended)
				}
			}
			w.noDeadLetters()
			w.nothingHappenedTwice()
		})
	}
}

// lagIsKnown checks that the lag, which is in Kafka, is shown without the database.
func (w *world) lagIsKnown(url string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/consumer", http.NoBody)
	w.must(err)
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	w.must(err)
	if res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"lag":`) {
		w.Errorf("GET /api/v1/consumer: %d %s", res.StatusCode, body)
	}
}

// TestConsumptionDoesNotWaitForTheAPI: requests that hang in PostgreSQL use up the
// connections of the API. Orders are assigned meanwhile, and the probes answer.
func TestConsumptionDoesNotWaitForTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.serve()
	url := w.serviceURL()
	unlock := w.locked("daily_statistics") // the API reads it; only completed orders are counted
	leave := w.clients(url+"/api/v1/statistics", 24)
	w.sessionsWait(8)
	w.create(5)
	w.eventually("five are assigned", func() bool { return w.inState(courier.StateAssigned) == 5 })
	w.probesAnswer(url)
	if status := w.get(http.MethodGet, url+"/readyz", patience); status != http.StatusOK {
		t.Errorf("/readyz: %d", status)
	}
	unlock()
	leave()
}

// TestAPIDoesNotWaitForConsumption: the service's own work hangs in PostgreSQL; the API
// answers what it does not hold up.
func TestAPIDoesNotWaitForConsumption(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.serve()
	url := w.serviceURL()
	defer w.locked("orders")()
	w.create(50)
	w.sessionsWait(1)
	for range 10 {
		if status := w.get(http.MethodGet, url+"/couriers", time.Second); status != http.StatusOK {
			t.Errorf("/couriers: %d", status)
		}
	}
}

// sessionsWait waits until so many sessions wait for a lock.
func (w *world) sessionsWait(n int) {
	w.Helper()
	w.eventually("sessions wait for the lock", func() bool {
		return w.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") >= n
	})
}

// readOnly makes every new session read-only ("on") or not, and ends the others.
func (w *world) readOnly(state string) {
	w.Helper()
	w.exec("SET default_transaction_read_only = off")
	w.exec("ALTER DATABASE " + w.one("SELECT current_database()") + " SET default_transaction_read_only = " + state)
	w.exec(endSessions)
}

// endSessions ends every other session of the database.
const endSessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

var listening = regexp.MustCompile(`msg=listening addr=(\S+)`)

// serviceURL returns the URL of the replica that was started last.
func (w *world) serviceURL() (url string) {
	w.Helper()
	w.eventually("the service listens", func() bool {
		found := listening.FindAllStringSubmatch(w.logs.String(), -1)
		if len(found) > 0 {
			url = "http://" + found[len(found)-1][1]
		}
		return len(found) > 0
	})
	return url
}

// probesAnswer sends what a monitor requests: each must be answered within a second,
// and /readyz, which waits up to two for its checks, within three. One that waits for
// PostgreSQL is late each time, on a busy machine a probe may be late twice.
func (w *world) probesAnswer(url string) {
	w.Helper()
	for _, probe := range []struct {
		method, path string
		status       int // 0: any
		within       time.Duration
	}{
		{http.MethodHead, "/healthcheck", http.StatusNoContent, time.Second},
		{http.MethodGet, "/livez", http.StatusOK, time.Second},
		{http.MethodGet, "/metrics", http.StatusOK, time.Second},
		{http.MethodGet, "/readyz", 0, 3 * time.Second},
	} {
		for try := 1; ; try++ {
			began := time.Now()
			status := w.get(probe.method, url+probe.path, 2*probe.within)
			took := time.Since(began)
			if took <= probe.within && status != 0 && (probe.status == 0 || status == probe.status) {
				break
			}
			if try == 3 || status != 0 && took <= probe.within {
				w.Fatalf("%s answered %d after %v, want %d within %v", probe.path, status, took, probe.status, probe.within)
			}
		}
	}
}

// get returns the status of the answer, or 0 when there is none in time.
func (w *world) get(method, url string, timeout time.Duration) int {
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(w.Context(), method, url, http.NoBody)
	if err != nil {
		return 0
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0
	}
	w.check(answer.Body.Close())
	return answer.StatusCode
}

// clients sends requests from n clients until leave.
func (w *world) clients(url string, n int) (leave func()) {
	var running sync.WaitGroup
	gone := make(chan struct{})
	for range n {
		running.Go(func() {
			for {
				select {
				case <-gone:
					return
				default:
					w.get(http.MethodGet, url, patience)
				}
			}
		})
	}
	leave = sync.OnceFunc(func() { close(gone); running.Wait() })
	w.Cleanup(leave)
	return leave
}
