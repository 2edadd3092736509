package worker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/usecase/orderevent"
)

// world is service-order's list and the database, both in memory.
type world struct {
	mu        sync.Mutex // held by the leader, and for changes
	listed    []order.Order
	cut       int         // the first lists that break off
	from      []time.Time // of each list
	at        []time.Time // when each list was read
	records   map[courier.OrderID]courier.State
	until     time.Time
	leader    bool
	down      bool
	silent    error // of Answers
	paused    bool  // submissions
	compared  int   // at most, in one call
	submitted []orderevent.Hint
	refuses   courier.OrderID
}

func (w *world) List(_ context.Context, from time.Time, each func(order.Order) error) error {
	w.from, w.at = append(w.from, from), append(w.at, time.Now())
	for _, o := range w.listed {
		if err := each(o); err != nil {
			return err
		}
	}
	if w.cut--; w.cut >= 0 {
		return fmt.Errorf("%w: cut", order.ErrUnavailable)
	}
	return nil
}

func (w *world) Lead(ctx context.Context, do func(context.Context) error) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.leader {
		return false, nil
	}
	return true, do(ctx)
}

func (w *world) Begin(context.Context) (until, now time.Time, err error) {
	return w.until, time.Now(), nil
}

func (w *world) Finish(_ context.Context, until time.Time) error {
	w.until = until
	return nil
}

func (w *world) Behind(_ context.Context, listed map[courier.OrderID]courier.Class) ([]courier.OrderID, error) {
	w.compared = max(w.compared, len(listed))
	var behind []courier.OrderID
	for id, class := range listed {
		if class > w.records[id].Class() {
			behind = append(behind, id)
		}
	}
	slices.Sort(behind)
	return behind, nil
}

func (w *world) ActivePage(_ context.Context, after courier.OrderID, limit int) ([]courier.OrderID, error) {
	var ids []courier.OrderID
	for id, state := range w.records {
		if state.Class() == courier.ClassActive && id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids[:min(limit, len(ids))], nil
}

func (w *world) Ready(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return order.ErrBreakerOpen
	}
	return nil
}

func (w *world) Answers(context.Context) error { return w.silent }

func (w *world) Submit(_ context.Context, b orderevent.Batch) error {
	if w.paused {
		return orderevent.ErrPaused
	}
	w.submitted = append(w.submitted, b.Hints...)
	for _, h := range b.Hints {
		if h.OrderID == w.refuses {
			return &orderevent.RefusedError{Orders: map[courier.OrderID]error{h.OrderID: orderevent.ErrRefused}}
		}
	}
	return nil
}

func (w *world) resyncer(log *bytes.Buffer) *Resyncer {
	return NewResyncer(w, w, w, logTo(log))
}

// run resyncs every minute until ctx ends.
func (w *world) run(ctx context.Context, log *bytes.Buffer) {
	Run(ctx, &results{}, logTo(log), w.resyncer(log).Task(time.Minute, w, w))
}

func (w *world) ids() string {
	var ids []string
	for _, h := range w.submitted {
		ids = append(ids, string(h.OrderID))
	}
	return strings.Join(ids, " ")
}

func TestResyncGoesBothWays(t *testing.T) {
	w := &world{
		listed: []order.Order{
			{ID: "lost-created", Status: "cooking"},
			{ID: "lost-completed", Status: "completed"},
			{ID: "known", Status: "delivering"},
			{ID: "ended", Status: "completed"},
			{ID: "odd", Status: "refunded"},
		},
		records: map[courier.OrderID]courier.State{
			"lost-completed": courier.StateAssigned, "known": courier.StateAssigned, "ended": courier.StateCompleted,
			"waiting": courier.StateWaiting, "held": courier.StateHeld, "gone": courier.StateCancelled,
		},
	}
	if err := w.resyncer(&bytes.Buffer{}).Since(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.ids(), "lost-completed lost-created held known lost-completed waiting"; got != want {
		t.Errorf("submitted %q, want %q", got, want)
	}
	for _, h := range w.submitted {
		if !h.Resync || h.Token != 0 || h.Source != "resync" {
			t.Errorf("hint %+v is not of the resync", h)
		}
	}
}

// TestResyncPagesThroughEverything, and compares one batch at a time, so that a list of
// any length takes constant memory.
func TestResyncPagesThroughEverything(t *testing.T) {
	w := &world{records: make(map[courier.OrderID]courier.State)}
	for i := range 3 * resyncBatch {
		w.listed = append(w.listed, order.Order{ID: courier.OrderID(fmt.Sprintf("new-%04d", i)), Status: "created"})
		w.records[courier.OrderID(fmt.Sprintf("old-%04d", i))] = courier.StateAssigned
	}
	if err := w.resyncer(&bytes.Buffer{}).Since(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if len(w.submitted) != 6*resyncBatch {
		t.Errorf("submitted %d orders, want %d", len(w.submitted), 6*resyncBatch)
	}
	if w.compared != resyncBatch {
		t.Errorf("compared %d orders at a time, want %d", w.compared, resyncBatch)
	}
}

// TestPartialListIsCompared: what was listed before the error is compared. It fails
// when the unfinished batch is dropped.
func TestPartialListIsCompared(t *testing.T) {
	w := &world{cut: 1, listed: []order.Order{{ID: "lost", Status: "created"}}}
	err := w.resyncer(&bytes.Buffer{}).Since(t.Context(), time.Time{})
	if err == nil || w.ids() != "lost" {
		t.Errorf("submitted %q, then %v; want the lost order, then the error", w.ids(), err)
	}
}

// TestResyncSkipsARefusedOrder: one bad order must not block the others.
func TestResyncSkipsARefusedOrder(t *testing.T) {
	w := &world{records: make(map[courier.OrderID]courier.State), refuses: "old-0000"}
	for i := range 2 * resyncBatch {
		w.records[courier.OrderID(fmt.Sprintf("old-%04d", i))] = courier.StateAssigned
	}
	var log bytes.Buffer
	if err := w.resyncer(&log).Since(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if len(w.submitted) != 2*resyncBatch || !strings.Contains(log.String(), "order_id=old-0000") {
		t.Errorf("submitted %d orders, log:\n%s", len(w.submitted), log.String())
	}
}

// TestResyncContinuesFromTheLastFinished: after a list that broke off, the next one begins
// where the last complete one did, minus the overlap.
func TestResyncContinuesFromTheLastFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{leader: true, cut: 1}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.run(ctx, &log) }()
		<-time.After(resyncRetry + time.Second) // the second resync is whole
		<-time.After(time.Minute)
		synctest.Wait()
		cancel()
		<-done
		if len(w.at) != 3 {
			t.Fatalf("%d resyncs in a minute, want 3", len(w.at))
		}
		if pause := w.at[1].Sub(w.at[0]); pause != resyncRetry {
			t.Errorf("tried again after %v, want %v", pause, resyncRetry)
		}
		want := []time.Time{w.at[0].Add(-firstResync), w.at[1].Add(-firstResync), w.at[1].Add(-ResyncOverlap)}
		if !slices.EqualFunc(w.from, want, time.Time.Equal) {
			t.Errorf("resynced from %v, want %v", w.from, want)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("want the failure and its end in the log, got:\n%s", log.String())
		}
	})
}

func TestResyncIsSkippedWhileDownOrNotLeader(t *testing.T) {
	for name, w := range map[string]*world{"down": {leader: true, down: true}, "not the leader": {}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			w.run(ctx, &bytes.Buffer{})
			if len(w.from) != 0 {
				t.Errorf("%s: resynced %d times", name, len(w.from))
			}
		})
	}
}

// TestReplicasResyncOnceAnInterval together, whenever each started. It fails when a
// replica resyncs although another one has just done so.
func TestReplicasResyncOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{leader: true}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var replicas sync.WaitGroup
		for i := range 4 {
			replicas.Go(func() {
				<-time.After(time.Duration(i) * 10 * time.Second)
				w.run(ctx, &bytes.Buffer{})
			})
		}
		replicas.Wait()
		var after []time.Duration
		for i := 1; i < len(w.from); i++ {
			after = append(after, w.from[i].Sub(w.from[i-1]))
		}
		if n := len(after); n < 3+8 || slices.Max(after[3:]) > 2*time.Minute || slices.Min(after[4:]) < 54*time.Second {
			t.Errorf("after the four starts, resyncs came after %v; want a minute", after)
		}
	})
}

// TestTriggeredResyncIsRetried: it cannot run while service-order is down or another
// replica resyncs, and the interval may be hours.
func TestTriggeredResyncIsRetried(t *testing.T) {
	for name, w := range map[string]*world{"down": {leader: true, down: true}, "not the leader": {}, "cut": {leader: true, cut: 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				r, done := w.resyncer(&bytes.Buffer{}), make(chan struct{})
				go func() {
					defer close(done)
					Run(ctx, &results{}, slog.New(slog.DiscardHandler), r.Task(24*time.Hour, w, w))
				}()
				synctest.Wait()
				r.Trigger()
				synctest.Wait()
				w.mu.Lock()
				if !w.until.IsZero() {
					t.Error("resynced although it cannot have")
				}
				w.leader, w.down = true, false
				w.mu.Unlock()
				<-time.After(resyncRetry + time.Second)
				w.mu.Lock()
				resynced := w.until
				w.mu.Unlock()
				<-time.After(time.Hour)
				cancel()
				<-done
				if resynced.IsZero() || w.until != resynced {
					t.Errorf("resynced until %v within some seconds, then until %v; want once", resynced, w.until)
				}
			})
		})
	}
}

// TestResyncSoonAfterServiceOrderReturns: at the start it may not be there yet, and the
// interval may be hours.
func TestResyncSoonAfterServiceOrderReturns(t *testing.T) {
	for name, w := range map[string]*world{
		"no answer": {leader: true, cut: 1 << 30, silent: order.ErrUnavailable}, "breaker open": {leader: true, down: true}, "paused": {leader: true, paused: true, listed: []order.Order{{ID: "lost", Status: "created"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					Run(ctx, &results{}, slog.New(slog.DiscardHandler), w.resyncer(&bytes.Buffer{}).Task(24*time.Hour, w, w))
				}()
				<-time.After(10 * time.Minute)
				synctest.Wait()
				w.mu.Lock()
				w.cut, w.silent, w.down, w.paused = 0, nil, false, false
				w.mu.Unlock()
				<-time.After(resyncRetry + time.Second)
				synctest.Wait()
				cancel()
				<-done
				if w.until.IsZero() {
					t.Errorf("not resynced within %v of the end of the outage", resyncRetry)
				}
			})
		})
	}
}

// TestRetriesOfTheResyncSlowDown: while only the list fails, it is read seldom.
func TestRetriesOfTheResyncSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{leader: true, cut: 1 << 30}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		w.run(ctx, &bytes.Buffer{})
		var after []time.Duration
		for i := 1; i < len(w.at); i++ {
			after = append(after, w.at[i].Sub(w.at[i-1]).Round(10*time.Second))
		}
		if want := []time.Duration{10, 10, 20, 40, 60}; len(after) < 5 || !slices.EqualFunc(after[:5], want, func(a, b time.Duration) bool { return a == b*time.Second }) {
			t.Errorf("tried again after %v, want 5, 10, 20, 40 s, then the interval", after)
		}
	})
}

// TestPauseIsNotAFailureOfTheResync: the breaker logs that service-order is down. It fails
// when the resync logs an outage for that.
func TestPauseIsNotAFailureOfTheResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{leader: true, paused: true, listed: []order.Order{{ID: "lost", Status: "created"}}}
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		w.run(ctx, &log)
		if log.Len() > 0 || len(w.from) < 10 {
			t.Errorf("resynced %d times, log:\n%s", len(w.from), &log)
		}
	})
}

// TestFailedResyncInAnOutage: while service-order does not answer at all, which its circuit
// breaker logs, the resync logs no outage of its own; while only the list fails, it does.
func TestFailedResyncInAnOutage(t *testing.T) {
	for name, c := range map[string]struct {
		silent error
		lines  int
	}{"outage": {order.ErrUnavailable, 0}, "only the list fails": {nil, 1}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			var log bytes.Buffer
			w := &world{leader: true, silent: c.silent, cut: 1000}
			w.run(ctx, &log)
			if n := strings.Count(log.String(), "dependency unavailable"); n != c.lines {
				t.Errorf("%s: %d lines, want %d:\n%s", name, n, c.lines, log.String())
			}
		})
	}
}
