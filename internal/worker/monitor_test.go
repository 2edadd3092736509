package worker

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/usecase/orderevent"
)

// readings are successive states of the active orders; the last one repeats.
type readings struct {
	states   []orderevent.ActiveOrders
	fails    int // the first reads that fail
	observed []orderevent.ActiveOrders
	recorded int // losses of the state
}

func (r *readings) ActiveOrders(context.Context) (orderevent.ActiveOrders, error) {
	if r.fails--; r.fails >= 0 {
		return orderevent.ActiveOrders{}, errors.New("database unavailable")
	}
	now := r.states[0]
	r.states = r.states[min(1, len(r.states)-1):]
	return now, nil
}

func (r *readings) RecordStateLost(context.Context) error {
	r.recorded++
	return nil
}

func (r *readings) observe(now orderevent.ActiveOrders) { r.observed = append(r.observed, now) }

// TestConditionsAreLoggedOnce, when they begin and when they end, however often they are
// read in between; the metrics get every reading.
func TestConditionsAreLoggedOnce(t *testing.T) {
	long, short := 2*longMissing, longMissing/2
	for name, c := range map[string]struct {
		states []orderevent.ActiveOrders
		logged []string
	}{
		"state lost": {
			[]orderevent.ActiveOrders{
				{Active: 8}, {Active: 8, Missing: 3}, {Active: 9, Missing: 4}, {Active: 8, Missing: 5}, {Active: 8, Missing: 8}, {Active: 8, Missing: 2}, {},
			},
			[]string{"WARN lost its state", "INFO found or ended"},
		},
		"state lost, then new orders": {
			[]orderevent.ActiveOrders{{Active: 8, Missing: 8}, {Active: 20, Missing: 8, Lost: 8}, {Active: 12, Missing: 8, Lost: 8}, {Active: 20, Missing: 3, Lost: 2}, {Active: 20, Missing: 1}},
			[]string{"WARN lost its state", "INFO found or ended"},
		},
		"state lost before the start": {
			[]orderevent.ActiveOrders{{Active: 8, Missing: 8, MissingOldest: long, Lost: 8}, {Active: 9, Missing: 2, MissingOldest: long, Lost: 2}, {}},
			[]string{"WARN still missing since service-order lost its state", "INFO found or ended", "INFO no active orders missing"},
		},
		"few of many": {[]orderevent.ActiveOrders{{Active: 100, Missing: 49}, {Active: 4, Missing: 4}}, nil},
		"missing": {
			[]orderevent.ActiveOrders{
				{Active: 9, Missing: 1, MissingOldest: short},
				{Active: 9, Missing: 1, MissingOldest: long},
				{Active: 9, Missing: 2, MissingOldest: long},
				{Active: 9, Missing: 1, MissingOldest: short},
				{Active: 9},
			},
			[]string{"WARN active orders missing", "INFO no active orders missing"},
		},
		"waiting": {
			[]orderevent.ActiveOrders{{Active: 9, Waiting: 1, WaitingOldest: longWait / 2}, {Active: 9, Waiting: 1, WaitingOldest: 2 * longWait}, {}},
			[]string{"WARN orders waiting too long", "INFO no orders waiting too long"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				r := &readings{states: slices.Clone(c.states)}
				runFor(t, time.Minute, logTo(&log), Monitor(r, r.observe, logTo(&log)))
				lines := strings.Split(strings.TrimSpace(log.String()), "\n")
				if len(c.logged) == 0 && log.Len() > 0 || len(c.logged) > 0 && len(lines) != len(c.logged) {
					t.Fatalf("log:\n%s\nwant %q", log.String(), c.logged)
				}
				for i, want := range c.logged {
					level, text, _ := strings.Cut(want, " ")
					if !strings.Contains(lines[i], "level="+level) || !strings.Contains(lines[i], text) {
						t.Errorf("line %d is %s\nwant %q", i, lines[i], want)
					}
				}
				if lost := slices.ContainsFunc(c.states, orderevent.ActiveOrders.MostMissing); (r.recorded > 0) != lost {
					t.Errorf("the loss of the state was recorded %d times", r.recorded)
				}
				if len(r.observed) < len(c.states) || !slices.Equal(r.observed[:len(c.states)], c.states) {
					t.Errorf("observed %+v, want %+v", r.observed, c.states)
				}
			})
		})
	}
}

func TestMonitorContinuesAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := &readings{states: []orderevent.ActiveOrders{{Active: 1}}, fails: 3}
		runFor(t, time.Minute, logTo(&log), Monitor(r, r.observe, logTo(&log)))
		if n := strings.Count(log.String(), "\n"); n != 2 || len(r.observed) == 0 {
			t.Errorf("%d readings, log:\n%s", len(r.observed), log.String())
		}
	})
}
