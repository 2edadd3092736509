package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/usecase/orderevent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// results is an Observer that keeps the results of each task.
type results struct {
	mu     sync.Mutex
	byTask map[string][]Result
}

func (r *results) TaskFinished(task string, result Result, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byTask == nil {
		r.byTask = make(map[string][]Result)
	}
	r.byTask[task] = append(r.byTask[task], result)
}

// runFor runs one task for a while, in a synctest bubble, and returns its results.
func runFor(t *testing.T, d time.Duration, log *slog.Logger, task Task) []Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var r results
	Run(ctx, &r, log, task)
	return r.byTask[task.Name]
}

func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// lock is a Leader of several replicas in this process, with one lock.
type lock struct{ sync.Mutex }

func (l *lock) Lead(ctx context.Context, do func(context.Context) error) (bool, error) {
	if !l.TryLock() {
		return false, nil
	}
	defer l.Unlock()
	return true, do(ctx)
}

// TestPanicIsContained: the panic of a round is logged with its stack and counted as
// the failure of that round; the task and the other tasks go on. It fails when contain
// does not recover.
func TestPanicIsContained(t *testing.T) {
	panics := Task{Name: "panics", Run: func(context.Context) error { panic("fault") }}
	if result, err := panics.round(t.Context(), slog.New(slog.DiscardHandler)); result != Panicked || err == nil {
		t.Fatalf("round = %v, %v", result, err)
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var l lock
		calls := 0
		broken := Task{Name: "broken", Interval: time.Minute, Leader: &l, Run: func(context.Context) error {
			if calls++; calls == 2 {
				panic("fault")
			}
			return nil
		}}
		other := Task{Name: "other", Interval: time.Minute, Run: func(context.Context) error { return nil }}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		var r results
		Run(ctx, &r, logTo(&log), broken, other)
		if want := []Result{Succeeded, Panicked, Succeeded}; !slices.Equal(r.byTask["broken"], want) || len(r.byTask["other"]) != 3 {
			t.Errorf("results %v, want %v and three of the other task", r.byTask, want)
		}
		for text, want := range map[string]int{
			`msg="panic recovered" component="task broken"`: 1, `msg="dependency unavailable, retrying" component=broken`: 1, `msg="dependency recovered" component=broken`: 1,
		} {
			if n := strings.Count(log.String(), text); n != want {
				t.Errorf("%q is logged %d times, want %d:\n%s", text, n, want, log.String())
			}
		}
		if !strings.Contains(log.String(), "task_test.go") {
			t.Errorf("the log has no stack:\n%s", log.String())
		}
		if !l.TryLock() {
			t.Error("the leader lock is still held after the panic")
		}
	})
}

// panicking is a gate and a leader lock with a fault.
type panicking struct{}

func (panicking) Ready(context.Context) error { panic("fault") }

func (panicking) Answers(context.Context) error { panic("fault") }

func (panicking) Lead(context.Context, func(context.Context) error) (bool, error) { panic("fault") }

// TestPanicAroundATaskIsContained fails the round alone, as one in the task does.
func TestPanicAroundATaskIsContained(t *testing.T) {
	nothing := func(context.Context) error { return nil }
	for name, task := range map[string]Task{
		"gate": {Name: "t", Gate: panicking{}, Run: nothing}, "leader lock": {Name: "t", Leader: panicking{}, Run: nothing},
	} {
		synctest.Test(t, func(t *testing.T) {
			task.Interval = time.Minute
			if got := runFor(t, 90*time.Second, slog.New(slog.DiscardHandler), task); !slices.Equal(got, []Result{Panicked, Panicked}) {
				t.Errorf("%s: %v, want two panics", name, got)
			}
		})
	}
}

// TestFailedRoundIsRepeatedAfterAPause, even if the interval is shorter; an outage is
// logged once.
func TestFailedRoundIsRepeatedAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		got := runFor(t, 10*time.Second+time.Millisecond, logTo(&log), Task{Name: "x", Interval: time.Millisecond, Retry: 5 * time.Second, Run: func(context.Context) error {
			return errors.New("refused")
		}})
		if want := []Result{Failed, Failed, Failed}; !slices.Equal(got, want) || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("results %v, want %v; log:\n%s", got, want, log.String())
		}
	})
}

// TestRoundIsSkipped while service-order is unavailable, while another replica leads,
// and when service-order becomes unavailable in the round. None of them is an outage of
// the task.
func TestRoundIsSkipped(t *testing.T) {
	var held lock
	held.Lock()
	for name, task := range map[string]Task{
		"gate":   {Gate: &world{down: true}},
		"leader": {Leader: &held},
		"paused": {Run: func(context.Context) error { return orderevent.ErrPaused }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				task.Name, task.Interval, task.Retry = name, time.Minute, 40*time.Second
				want := []Result{Skipped, Skipped, Skipped}
				if name == "leader" { // its round counts for all replicas
					want = want[1:]
				}
				if task.Run == nil {
					task.Run = func(context.Context) error { t.Error("it runs"); return nil }
				}
				if got := runFor(t, 90*time.Second, logTo(&log), task); !slices.Equal(got, want) || log.Len() > 0 {
					t.Errorf("results %v, log:\n%s", got, log.String())
				}
			})
		})
	}
}

// queue counts how often it is matched.
type queue struct {
	calls atomic.Int64
	fail  func(call int64) error
}

func (q *queue) Match(context.Context, int) ([]orderevent.Assignment, error) {
	call := q.calls.Add(1)
	if q.fail != nil {
		return nil, q.fail(call)
	}
	return nil, nil
}

type noObserver struct{}

func (noObserver) Reconciled(orderevent.BatchResult) {}
func (noObserver) Matched([]orderevent.Assignment)   {}
func (noObserver) Coalesced(int)                     {}
func (noObserver) Panicked()                         {}
func (noObserver) Begin(ctx context.Context, _ orderevent.Phase, _ ...orderevent.Hint) (context.Context, orderevent.End) {
	return ctx, func(int, error) {}
}

// TestMatchingRunsWhenTriggeredAndOnATimer: triggered, it matches at once; a trigger
// that a crash lost costs no more than the interval.
func TestMatchingRunsWhenTriggeredAndOnATimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		m := orderevent.NewMatcher(&q, noObserver{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); Run(ctx, &results{}, slog.New(slog.DiscardHandler), Matching(m)) }()
		synctest.Wait()
		started := q.calls.Load()
		m.Trigger()
		synctest.Wait()
		triggered := q.calls.Load()
		<-time.After(orderevent.MatchInterval + time.Millisecond)
		synctest.Wait()
		timed := q.calls.Load()
		cancel()
		<-done
		if started != 1 || triggered != 2 || timed != 3 {
			t.Errorf("matched %d times at the start, %d after the trigger and %d after the interval; want 1, 2, 3", started, triggered, timed)
		}
	})
}

func TestMatchingLogsAnOutageOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q := queue{fail: func(call int64) error {
			if call <= 5 {
				return errors.New("database unavailable")
			}
			return nil
		}}
		runFor(t, time.Minute, logTo(&log), Matching(orderevent.NewMatcher(&q, noObserver{})))
		if n := strings.Count(log.String(), "\n"); n != 2 || q.calls.Load() < 100 {
			t.Errorf("%d calls, log:\n%s", q.calls.Load(), log.String())
		}
	})
}

// rechecks returns due rechecks, each once: they are leased.
type rechecks struct {
	due    []orderevent.Hint
	leases []time.Duration
}

func (r *rechecks) ClaimDue(_ context.Context, limit int, lease time.Duration) ([]orderevent.Hint, error) {
	n := min(limit, len(r.due))
	claimed := r.due[:n]
	r.due = r.due[n:]
	r.leases = append(r.leases, lease)
	return claimed, nil
}

func TestRecheckSubmitsAllThatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rechecks{}
		for i := range 2*recheckBatch + 1 {
			r.due = append(r.due, orderevent.Hint{OrderID: "o", Token: int64(i + 1)})
		}
		w := &world{}
		log := slog.New(slog.DiscardHandler)
		runFor(t, time.Millisecond, log, Recheck(r, w, w, log))
		if len(w.submitted) != 2*recheckBatch+1 || w.submitted[0].Source != "recheck" || w.submitted[0].Token != 1 {
			t.Errorf("submitted %d hints, want all with their tokens", len(w.submitted))
		}
		for _, lease := range r.leases {
			if lease < 10*time.Second {
				t.Errorf("a lease of %v is not longer than a batch takes", lease)
			}
		}
	})
}

func TestRecheckClaimsNothingWhileServiceOrderIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rechecks{due: []orderevent.Hint{{OrderID: "o", Token: 1}}}
		w := &world{down: true}
		log := slog.New(slog.DiscardHandler)
		runFor(t, time.Minute, log, Recheck(r, w, w, log))
		if len(r.leases) != 0 {
			t.Errorf("claimed %d times", len(r.leases))
		}
	})
}
