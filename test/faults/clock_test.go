package faults

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/devstack"
)

// requireFaketime set to 1 lets no test be skipped for want of libfaketime.
const requireFaketime = "SERVICE_COURIER_REQUIRE_FAKETIME"

// faketime is the environment in which a program's clock is off by so much, and
// goes on as fast as any. Timers go by the monotonic clock, which is left alone.
func faketime(t *testing.T, by time.Duration) []string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	switch {
	case err != nil:
		t.Fatal(err)
	case len(found) > 0:
		return []string{"LD_PRELOAD=" + found[0], "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME=" + offset(by)}
	case os.Getenv(requireFaketime) == "1":
		t.Fatal("libfaketime is not installed: apt-get install libfaketime")
	default:
		t.Skipf("PostgreSQL's clock is moved only where libfaketime is: apt-get install libfaketime (%s=1 makes this a failure)", requireFaketime)
	}
	return nil
}

// offset is how libfaketime wants it: always with a sign, in seconds.
func offset(by time.Duration) string {
	if by < 0 {
		return by.String()
	}
	return "+" + by.String()
}

// TestClocksDiffer: the clocks of PostgreSQL, of service-order and of the service
// are ten minutes apart. PostgreSQL runs under libfaketime. Go asks the kernel
// without libc, so the service's own clock cannot be moved so: the two others are
// instead, which is the same to all three. Whatever comes due does so by
// PostgreSQL's clock alone: looks are neither made at once nor put off, deadlines
// are minutes from the assignment, and the sweep finds what was lost. A lost
// `created` it finds only as long as PostgreSQL is not ahead of service-order by
// more than the sweep's overlap of fifteen minutes; with one of five this fails
// (tried).
func TestClocksDiffer(t *testing.T) {
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
			t.Parallel()
			w, _ := newWorldWithServer(t, 10, devstack.PostgresConfig{Env: faketime(t, c.postgres)})
			if by := w.postgresAhead(); (by - c.postgres).Abs() > 5*time.Second {
				t.Fatalf("PostgreSQL's clock is off by %v, want %v", by, c.postgres)
			}
			w.front.fail(w.shifted(c.orders))
			w.serve(sweepEvery(2 * time.Second))
			ids := w.create(3)
			w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
			w.sim.Emit(ids[0], "completed") // ahead of the truth
			w.eventually("it is looked at again soon", func() bool {
				return w.count("SELECT count(*) FROM orders WHERE look_count = 2") == 1
			})
			if n := w.count("SELECT count(*) FROM orders WHERE look_due_at > now() + interval '5 seconds'"); n != 0 {
				t.Error("the second look is put off for minutes")
			}
			w.dueByPostgres(c.postgres)
			w.sim.Mute(true)
			w.setStatus("completed", ids[1])
			w.create(2)
			w.agrees()
		})
	}
}

// postgresAhead is how far PostgreSQL's clock is ahead of this process's.
func (w *world) postgresAhead() time.Duration {
	w.Helper()
	var now time.Time
	w.must(w.pool.QueryRow(w.Context(), "SELECT clock_timestamp()").Scan(&now))
	return time.Until(now)
}

// dueByPostgres: every time that is stored is PostgreSQL's, and a deadline is five
// minutes, a car's, from its assignment.
func (w *world) dueByPostgres(off time.Duration) {
	w.Helper()
	if n := w.count("SELECT count(*) FROM courier_orders WHERE deadline - assigned_at = interval '5 minutes'"); n != 3 {
		w.Errorf("%d of 3 deadlines are five minutes from their assignment", n)
	}
	var assigned time.Time
	w.must(w.pool.QueryRow(w.Context(), "SELECT max(assigned_at) FROM courier_orders").Scan(&assigned))
	if by := time.Until(assigned) - off; by.Abs() > patience {
		w.Errorf("the assignment is stored as of %v beside PostgreSQL's clock", by)
	}
}

var createdAt = regexp.MustCompile(`"created_at":"([^"]+)"`)

// shifted is service-order as if its clock were off by so much: what it says it
// made then, and what it is asked to list since.
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
