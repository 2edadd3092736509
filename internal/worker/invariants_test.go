package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

const notChecked = "not checked"

// checks are the results of successive invariant checks, then none. A nil one fails.
type checks struct {
	found    [][]string
	observed []int
}

func (c *checks) check(context.Context) ([]string, error) {
	if len(c.found) == 0 {
		return []string{}, nil
	}
	now := c.found[0]
	c.found = c.found[1:]
	switch {
	case now == nil:
		return nil, errors.New("database unavailable")
	case slices.Equal(now, []string{notChecked}):
		return nil, fmt.Errorf("%w: too slow", ErrNotChecked)
	}
	return slices.Clone(now), nil
}

func (c *checks) observe(violated int) { c.observed = append(c.observed, violated) }

// TestInvariantViolationIsConfirmed: a violation that is gone a moment later raises no
// alarm; one that lasts is logged once, and so is its end.
func TestInvariantViolationIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &checks{found: [][]string{
			{},        // none
			{"x"}, {}, // gone
			{"x"}, {"y"}, // two that are gone
			{"x", "y"}, {"x"}, // one that lasts
			{"x"}, {"x"}, // still
			nil,          // the check fails
			{},           // resolved
			{notChecked}, // takes too long: no outage
		}}
		runFor(t, 9*invariantInterval, logTo(&log), InvariantCheck(&lock{}, c.check, c.observe, logTo(&log)))
		if want := []int{0, 0, 0, 1, 1, 0}; len(c.observed) < len(want) || !slices.Equal(c.observed[:len(want)], want) {
			t.Errorf("observed %v, want %v", c.observed, want)
		}
		for text, want := range map[string]int{"level=ERROR": 1, "first=x": 1, "violations resolved": 1, "dependency unavailable": 1, `"invariants not checked" error="not checked: too slow"`: 1} {
			if n := strings.Count(log.String(), text); n != want {
				t.Errorf("%q is logged %d times, want %d:\n%s", text, n, want, log.String())
			}
		}
	})
}

// TestInvariantCheckRunsOnOneReplica at a time, since it reads the whole database. It
// fails without the leader lock.
func TestInvariantCheckRunsOnOneReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l, checking lock
		check := func(ctx context.Context) ([]string, error) {
			if !checking.TryLock() {
				t.Error("two checks at a time")
				return nil, nil
			}
			defer checking.Unlock()
			sleep(ctx, invariantInterval)
			return nil, nil
		}
		log := slog.New(slog.DiscardHandler)
		finished := 0
		task := InvariantCheck(&l, check, func(int) { finished++ }, log)
		ctx, cancel := context.WithTimeout(t.Context(), 10*invariantInterval)
		defer cancel()
		Run(ctx, &results{}, log, task, task, task)
		if finished < 4 {
			t.Errorf("%d checks finished", finished)
		}
	})
}
