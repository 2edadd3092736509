package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/usecase/orderevent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is service-order's list and our records, both in memory.
type world struct {
	mu        sync.Mutex // held by who sweeps, or changes it
	listed    []order.Order
	cut       int // so many lists break off first
	from      []time.Time
	records   map[courier.OrderID]courier.State
	until     time.Time
	leader    bool
	down      bool
	paused    bool // while it is swept
	compared  int  // orders at a time, at most
	submitted []orderevent.Hint
	refuses   courier.OrderID
}

func (w *world) List(_ context.Context, from time.Time, each func(order.Order) error) error {
	w.from = append(w.from, from)
	for _, o := range w.listed {
		if err := each(o); err != nil {
			return err
		}
	}
	if w.cut--; w.cut >= 0 {
		return errors.New("cut")
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

func (w *world) Behind(_ context.Context, told map[courier.OrderID]courier.Class) ([]courier.OrderID, error) {
	w.compared = max(w.compared, len(told))
	var behind []courier.OrderID
	for id, class := range told {
		if class > w.records[id].Class() {
			behind = append(behind, id)
		}
	}
	slices.Sort(behind)
	return behind, nil
}

func (w *world) Open(_ context.Context, after courier.OrderID, limit int) ([]courier.OrderID, error) {
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
		return order.ErrOpen
	}
	return nil
}

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

func (w *world) sweeper(log *bytes.Buffer) *Sweeper {
	return NewSweeper(w, w, w, w, slog.New(slog.NewTextHandler(log, nil)))
}

func (w *world) ids() string {
	var ids []string
	for _, h := range w.submitted {
		ids = append(ids, string(h.OrderID))
	}
	return strings.Join(ids, " ")
}

func TestSweepGoesBothWays(t *testing.T) {
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
	if err := w.sweeper(&bytes.Buffer{}).Since(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.ids(), "lost-completed lost-created held known lost-completed waiting"; got != want {
		t.Errorf("looked at %q, want %q", got, want)
	}
	for _, h := range w.submitted {
		if !h.Sweep || h.Token != 0 || h.Source != "sweep" {
			t.Errorf("hint %+v is not the sweep's", h)
		}
	}
}

// TestSweepPagesThroughEverything, and asks the database about a batch at a time: of a
// list of any length, no more is in memory.
func TestSweepPagesThroughEverything(t *testing.T) {
	w := &world{records: make(map[courier.OrderID]courier.State)}
	for i := range 3 * sweepBatch {
		w.listed = append(w.listed, order.Order{ID: courier.OrderID(fmt.Sprintf("new-%04d", i)), Status: "created"})
		w.records[courier.OrderID(fmt.Sprintf("old-%04d", i))] = courier.StateAssigned
	}
	if err := w.sweeper(&bytes.Buffer{}).Since(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if len(w.submitted) != 6*sweepBatch {
		t.Errorf("looked at %d orders, want %d", len(w.submitted), 6*sweepBatch)
	}
	if w.compared != sweepBatch {
		t.Errorf("compared %d orders at a time, want %d", w.compared, sweepBatch)
	}
}

// TestListThatBrokeOffCounts: what was listed before is looked at. It fails when the
// batch that was begun is dropped with the error.
func TestListThatBrokeOffCounts(t *testing.T) {
	w := &world{cut: 1, listed: []order.Order{{ID: "lost", Status: "created"}}}
	err := w.sweeper(&bytes.Buffer{}).Since(t.Context(), time.Time{})
	if err == nil || w.ids() != "lost" {
		t.Errorf("looked at %q, then %v; want the lost one, then the error", w.ids(), err)
	}
}

// TestSweepPassesOverWhatTheDatabaseRefuses: one bad order must not keep the
// sweep from the others for ever.
func TestSweepPassesOverWhatTheDatabaseRefuses(t *testing.T) {
	w := &world{records: make(map[courier.OrderID]courier.State), refuses: "old-0000"}
	for i := range 2 * sweepBatch {
		w.records[courier.OrderID(fmt.Sprintf("old-%04d", i))] = courier.StateAssigned
	}
	var log bytes.Buffer
	if err := w.sweeper(&log).Since(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if len(w.submitted) != 2*sweepBatch || !strings.Contains(log.String(), "order_id=old-0000") {
		t.Errorf("looked at %d orders, log:\n%s", len(w.submitted), log.String())
	}
}

// TestSweepRemembersOnlyWhatItFinished: a list that broke off is asked for
// again from where the last whole one began, minus the overlap.
func TestSweepRemembersOnlyWhatItFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{leader: true, cut: 1}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		began := time.Now()
		go func() { defer close(done); w.sweeper(&log).Run(ctx, time.Minute) }()
		<-time.After(time.Minute + time.Second) // the second sweep is whole
		<-time.After(time.Minute)
		synctest.Wait()
		cancel()
		<-done
		want := []time.Time{began.Add(-firstSweep), began.Add(time.Minute - firstSweep), began.Add(time.Minute - SweepOverlap)}
		if !slices.EqualFunc(w.from, want, time.Time.Equal) {
			t.Errorf("swept from %v, want %v", w.from, want)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("want the failure and its end in the log, got:\n%s", log.String())
		}
	})
}

func TestSweepRestsWhileDownOrNotTheLeader(t *testing.T) {
	for name, w := range map[string]*world{"down": {leader: true, down: true}, "not the leader": {}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			w.sweeper(&bytes.Buffer{}).Run(ctx, time.Minute)
			if len(w.from) != 0 {
				t.Errorf("%s: swept %d times", name, len(w.from))
			}
		})
	}
}

// TestReplicasSweepOnceAnInterval together, whenever each began. It fails when a
// replica sweeps although another has just done so.
func TestReplicasSweepOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{leader: true}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var replicas sync.WaitGroup
		for i := range 4 {
			replicas.Go(func() {
				<-time.After(time.Duration(i) * 10 * time.Second)
				w.sweeper(&bytes.Buffer{}).Run(ctx, time.Minute)
			})
		}
		replicas.Wait()
		var after []time.Duration
		for i := 1; i < len(w.from); i++ {
			after = append(after, w.from[i].Sub(w.from[i-1]))
		}
		if n := len(after); n < 3+8 || slices.Max(after[3:]) > 2*time.Minute || slices.Min(after[4:]) < 54*time.Second {
			t.Errorf("after the four that came with the starts, sweeps came after %v; want a minute", after)
		}
	})
}

// TestSweepThatWasAskedForIsNotLost: while service-order is down, or another replica
// sweeps what it listed before, it cannot be done; the interval may be hours.
func TestSweepThatWasAskedForIsNotLost(t *testing.T) {
	for name, w := range map[string]*world{"down": {leader: true, down: true}, "not the leader": {}, "cut": {leader: true, cut: 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				s, done := w.sweeper(&bytes.Buffer{}), make(chan struct{})
				go func() { defer close(done); s.Run(ctx, 24*time.Hour) }()
				synctest.Wait()
				s.Wake()
				synctest.Wait()
				w.mu.Lock()
				if !w.until.IsZero() {
					t.Error("it swept though it cannot have")
				}
				w.leader, w.down = true, false
				w.mu.Unlock()
				<-time.After(sweepRetry + time.Second)
				w.mu.Lock()
				swept := w.until
				w.mu.Unlock()
				<-time.After(time.Hour)
				cancel()
				<-done
				if swept.IsZero() || w.until != swept {
					t.Errorf("swept until %v within some seconds, then until %v; want once", swept, w.until)
				}
			})
		})
	}
}

// TestPauseIsNoFailureOfTheSweep: that service-order went down meanwhile is the
// breaker's to tell. It fails when the sweep tells of it as of an outage.
func TestPauseIsNoFailureOfTheSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{leader: true, paused: true, listed: []order.Order{{ID: "lost", Status: "created"}}}
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		w.sweeper(&log).Run(ctx, time.Minute)
		if log.Len() > 0 || len(w.from) < 10 {
			t.Errorf("swept %d times, log:\n%s", len(w.from), &log)
		}
	})
}
