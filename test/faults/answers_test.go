package faults

import (
	"context"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/devstack"
)

// TestHealthAndMetricsAnswerWithoutPostgres: PostgreSQL is read-only, its pool
// is used up by sessions that wait for somebody's lock, or it is away. Whoever
// watches the service is answered at once, the trouble is told, and afterwards
// the work goes on with no dead letter. A /livez that asks the database fails
// here (tried).
func TestHealthAndMetricsAnswerWithoutPostgres(t *testing.T) {
	for name, harm := range map[string]func(w *world, pg *devstack.Postgres, url string) (heal func()){
		"read-only": func(w *world, _ *devstack.Postgres, _ string) func() {
			w.readOnly("on")
			return func() { w.readOnly("off") }
		},
		"pool exhausted by foreign locks": func(w *world, _ *devstack.Postgres, url string) func() {
			tx, err := w.pool.Begin(w.Context())
			w.must(err)
			_, err = tx.Exec(w.Context(), "LOCK TABLE orders, couriers IN ACCESS EXCLUSIVE MODE")
			w.must(err)
			unlock := sync.OnceFunc(func() { w.check(tx.Rollback(context.WithoutCancel(w.Context()))) })
			w.Cleanup(unlock)
			leave := w.crowd(url+"/couriers", 24)
			w.eventually("every connection of the pool waits for the lock", func() bool {
				return w.count("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 12
			})
			return func() { unlock(); leave() }
		},
		"away": func(w *world, pg *devstack.Postgres, _ string) func() {
			pg.Kill()
			return func() {
				w.must(pg.Restart(w.Context()))
				w.eventually("it answers", func() bool { return w.pool.Ping(w.Context()) == nil })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, pg := newWorldWithOwnServer(t, 10)
			w.serve()
			url := w.serviceURL()
			w.create(3)
			w.eventually("three are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
			heal := harm(w, pg, url)
			w.create(5)
			w.eventually("it is told", func() bool {
				w.watched(url)
				return w.logs.times(`what="saving of order events"`) >= 1
			})
			heal()
			w.agrees()
			w.notDead()
			w.nothingTwice()
		})
	}
}

// readOnly makes every new session so, and ends the ones there are.
func (w *world) readOnly(state string) {
	w.Helper()
	w.exec("SET default_transaction_read_only = off")
	w.exec("ALTER DATABASE " + w.one("SELECT current_database()") + " SET default_transaction_read_only = " + state)
	w.exec(endSessions)
}

// endSessions ends every other session of the database.
const endSessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

var listening = regexp.MustCompile(`msg=listening addr=(\S+)`)

// serviceURL is where the replica answers that was started last.
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

// watched asks what a monitor asks: each must be answered within a second, and
// readiness within its own two and a bit.
func (w *world) watched(url string) {
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
		began := time.Now()
		status := w.get(probe.method, url+probe.path, 2*probe.within)
		if took := time.Since(began); took > probe.within || status == 0 || (probe.status != 0 && status != probe.status) {
			w.Fatalf("%s answered %d after %v, want %d within %v", probe.path, status, took, probe.status, probe.within)
		}
	}
}

// get returns the status of the answer, and 0 when there is none in time.
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

// crowd is n clients that ask again and again until leave.
func (w *world) crowd(url string, n int) (leave func()) {
	var clients sync.WaitGroup
	gone := make(chan struct{})
	for range n {
		clients.Go(func() {
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
	leave = sync.OnceFunc(func() { close(gone); clients.Wait() })
	w.Cleanup(leave)
	return leave
}
