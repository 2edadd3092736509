package orderevent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pagedMatching assigns what is left, a page at a time.
type pagedMatching struct{ left, calls int }

func (p *pagedMatching) Match(_ context.Context, limit int) ([]Assignment, error) {
	p.calls++
	n := min(limit, p.left)
	p.left -= n
	return make([]Assignment, n), nil
}

func TestMatchRunsUntilTheQueueIsEmpty(t *testing.T) {
	matching := &pagedMatching{left: 2*matchBatch + 1}
	if err := NewMatcher(matching, &fakeObserver{}).Match(t.Context()); err != nil || matching.left != 0 || matching.calls != 3 {
		t.Errorf("err %v, %d left after %d calls", err, matching.left, matching.calls)
	}
}

// heldMatching holds each match until released, and notes whether two ran at once.
type heldMatching struct {
	assigned int
	err      error
	began    chan struct{}
	release  chan struct{}
	running  atomic.Int32
	overlap  atomic.Bool
}

func (m *heldMatching) Match(ctx context.Context, _ int) ([]Assignment, error) {
	if m.running.Add(1) > 1 {
		m.overlap.Store(true)
	}
	defer m.running.Add(-1)
	m.began <- struct{}{}
	select {
	case <-m.release:
		return make([]Assignment, m.assigned), m.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestOneMatchAtATime: of three workers one matches, one waits, and the third goes on.
func TestOneMatchAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		matching := &heldMatching{began: make(chan struct{}, 9), release: make(chan struct{})}
		m := NewMatcher(matching, &fakeObserver{})
		var workers sync.WaitGroup
		var left atomic.Int32
		m.Trigger()
		for range 3 {
			workers.Go(func() { m.MatchIfTriggered(t.Context()); left.Add(1) })
		}
		synctest.Wait()
		if len(matching.began) != 1 || left.Load() != 1 {
			t.Errorf("%d match at once, %d of three go on, want 1 and 1", len(matching.began), left.Load())
		}
		m.Trigger() // for a batch that was saved meanwhile
		matching.release <- struct{}{}
		matching.release <- struct{}{}
		workers.Wait()
		if len(matching.began) != 2 || matching.overlap.Load() {
			t.Errorf("%d matches for two triggers, two at once: %t", len(matching.began), matching.overlap.Load())
		}
	})
}

// TestWaitingMatchHasItsOwnTimeout: slow matches, as while another replica matches, do
// not use up the time of those that wait for them.
func TestWaitingMatchHasItsOwnTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		matching := &heldMatching{began: make(chan struct{}, 9), release: make(chan struct{})}
		m := NewMatcher(matching, &fakeObserver{})
		go func() {
			for range 3 {
				time.Sleep(matchTimeout * 2 / 3)
				matching.release <- struct{}{}
			}
		}()
		var matchers sync.WaitGroup
		for range 3 {
			matchers.Go(func() {
				if err := m.Match(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		matchers.Wait()
	})
}

// TestLeftoversAreTriggeredAgain: a worker matches once; the periodic task does what is
// left, failed or timed out.
func TestLeftoversAreTriggeredAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		matching *heldMatching
		hangs    bool
		triggers int
	}{
		"all are matched":           {&heldMatching{assigned: matchBatch - 1}, false, 0},
		"there are more":            {&heldMatching{assigned: matchBatch}, false, 1},
		"PostgreSQL is unavailable": {&heldMatching{err: errors.New("connection lost")}, false, 1},
		"PostgreSQL hangs":          {&heldMatching{}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.matching.began, tt.matching.release = make(chan struct{}, 9), make(chan struct{})
				m := NewMatcher(tt.matching, &fakeObserver{})
				m.Trigger()
				if !tt.hangs {
					go func() { tt.matching.release <- struct{}{} }()
				}
				began := time.Now()
				m.MatchIfTriggered(t.Context())
				if triggers := len(m.Triggered()); len(tt.matching.began) != 1 || triggers != tt.triggers {
					t.Errorf("%d matches and %d triggers, want 1 and %d", len(tt.matching.began), triggers, tt.triggers)
				}
				if took := time.Since(began); took > matchTimeout {
					t.Errorf("the worker waited %v", took)
				}
			})
		})
	}
}
