package orderevent

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
)

// TestEventSharesAGETThatBeganAfterItCame: duplicates that are in different
// batches cost one GET, and nothing else may share one. Each case fails when its
// condition is taken out of serves, or "known.err == nil" out of get.
func TestEventSharesAGETThatBeganAfterItCame(t *testing.T) {
	for _, c := range []struct {
		name   string
		status string        // "" answers 404
		early  time.Duration // how long before the first GET the second event came
		later  time.Duration // how long after it that event's turn is
		want   int           // GETs in all
	}{
		{"came before", "cooking", time.Second, time.Second, 1},
		{"came before, the GET is still under way", "cooking", time.Second, time.Millisecond, 1},
		{"came after", "cooking", -time.Second, 2 * time.Second, 2},
		{"no event", "cooking", 0, time.Second, 2},
		{"too old", "cooking", time.Second, maxAge, 2},
		{"no order in it", "", time.Second, time.Second, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &neighbour{status: map[courier.OrderID]string{}, slow: 10 * time.Millisecond}
				if c.status != "" {
					n.status["x"] = c.status
				}
				a := newAnswers(n)
				time.Sleep(time.Minute)
				began := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() { _, _ = a.get(t.Context(), "x", began.Add(-time.Minute)) })
				time.Sleep(c.later)
				var received time.Time
				if c.early != 0 {
					received = began.Add(-c.early)
				}
				got, err := a.get(t.Context(), "x", received)
				if got.Status != c.status || (err == nil) != (c.status != "") {
					t.Errorf("got %q, %v", got.Status, err)
				}
				wg.Wait()
				if n.gets["x"] != c.want {
					t.Errorf("%d GETs, want %d", n.gets["x"], c.want)
				}
			})
		})
	}
}

// TestAnswersAreBounded: a flood of orders does not grow the memory for ever.
func TestAnswersAreBounded(t *testing.T) {
	a := newAnswers(&neighbour{status: map[courier.OrderID]string{}})
	for i := range maxAnswers + 100 {
		_, _ = a.get(t.Context(), courier.OrderID(fmt.Sprint(i)), time.Time{})
	}
	if len(a.last) != maxAnswers || len(a.ring) != maxAnswers {
		t.Errorf("%d answers of %d orders, want %d", len(a.last), len(a.ring), maxAnswers)
	}
	if a.last["99"] != nil || a.last["100"] == nil {
		t.Error("the oldest are not those that went")
	}
}
