package faults

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/devpostgres"
)

// faketime returns the environment that shifts a program's wall clock. Timers use the
// monotonic clock, which is not shifted.
func faketime(t *testing.T, by time.Duration) []string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	switch {
	case err != nil:
		t.Fatal(err)
	case len(found) > 0:
		return []string{"LD_PRELOAD=" + found[0], "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME=" + offset(by)}
	default:
		citest.Missing(t, "libfaketime (Debian: libfaketime)")
	}
	return nil
}

// offset formats a duration for libfaketime, which requires a sign.
func offset(by time.Duration) string {
	if by < 0 {
		return by.String()
	}
	return "+" + by.String()
}

// TestClocksDiffer: the clocks of PostgreSQL, service-order and the service are ten
// minutes apart. PostgreSQL runs under libfaketime. Go reads the clock without libc, so
// the service's clock is not shifted; the two others are instead, which is equivalent.
// Due times are by PostgreSQL's clock alone: rechecks are neither early nor late,
// deadlines are minutes after the assignment, and the resync finds lost events. It finds
// a lost `created` only while PostgreSQL is not ahead of service-order by more than the
// resync's overlap of fifteen minutes; with an overlap of five this fails (tried).
func TestClocksDiffer(t *testing.T) {
	t.Parallel()
	const off = 10 * time.Minute
	for name, c := range map[string]struct{ postgres, orders time.Duration }{
		"PostgreSQL ahead":     {off, 0},
		"PostgreSQL behind":    {-off, 0},
		"the service ahead":    {-off, -off},
		"the service behind":   {off, off},
		"service-order ahead":  {0, off},
		"service-order behind": {0, -off},
	} {
		t.Run(name, func(t *testing.T) {
			if c.orders != 0 {
				citest.Only(t, "each case starts its own PostgreSQL")
			}
			t.Parallel()
			w, _ := newWorldWithServer(t, 10, devpostgres.Config{Env: faketime(t, c.postgres)})
			if by := w.postgresAhead(); (by - c.postgres).Abs() > 5*time.Second {
				t.Fatalf("PostgreSQL's clock is off by %v, want %v", by, c.postgres)
			}
			w.front.fail(w.shifted(c.orders))
			w.serve(resyncEvery(2 * time.Second))
			ids := w.create(3)
			w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
			w.sim.Emit(ids[0], "completed") // ahead of service-order
			w.eventually("it is rechecked soon", func() bool {
				return w.count("SELECT count(*) FROM orders WHERE recheck_count = 2") == 1
			})
			if n := w.count("SELECT count(*) FROM orders WHERE recheck_at > now() + interval '5 seconds'"); n != 0 {
				t.Error("the second recheck is minutes away")
			}
			w.timesAreByPostgres(c.postgres)
			w.sim.Mute(true)
			w.setStatus("completed", ids[1])
			w.create(2)
			w.converges()
		})
	}
}

// postgresAhead returns how far PostgreSQL's clock is ahead of this process.
func (w *world) postgresAhead() time.Duration {
	w.Helper()
	var now time.Time
	w.must(w.pool.QueryRow(w.Context(), "SELECT clock_timestamp()").Scan(&now))
	return time.Until(now)
}

// timesAreByPostgres checks that stored times are by PostgreSQL's clock and that a
// deadline is five minutes, a car's, after the assignment.
func (w *world) timesAreByPostgres(off time.Duration) {
	w.Helper()
	if n := w.count("SELECT count(*) FROM courier_orders WHERE deadline - assigned_at = interval '5 minutes'"); n != 3 {
		w.Errorf("%d of 3 deadlines are five minutes after their assignment", n)
	}
	var assigned time.Time
	w.must(w.pool.QueryRow(w.Context(), "SELECT max(assigned_at) FROM courier_orders").Scan(&assigned))
	if by := time.Until(assigned) - off; by.Abs() > patience {
		w.Errorf("the stored assignment is %v off PostgreSQL's clock", by)
	}
}

var createdAt = regexp.MustCompile(`"created_at":"([^"]+)"`)

// shifted is service-order with a shifted clock: in created_at of its orders and in the
// `from` of list requests.
func (w *world) shifted(by time.Duration) http.HandlerFunc {
	shift := func(text string, by time.Duration) string {
		at, err := time.Parse(time.RFC3339, text)
		w.check(err)
		return at.Add(by).Format(time.RFC3339Nano)
	}
	return func(rw http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if from := query.Get("from"); from != "" {
			query.Set("from", shift(from, -by))
			r.URL.RawQuery = query.Encode()
		}
		answer := httptest.NewRecorder()
		w.sim.Handler().ServeHTTP(answer, r)
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(createdAt.ReplaceAllFunc(answer.Body.Bytes(), func(field []byte) []byte {
			return []byte(`"created_at":"` + shift(string(createdAt.FindSubmatch(field)[1]), by) + `"`)
		}))
	}
}
