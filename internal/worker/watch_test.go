package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/usecase/orderevent"
)

// stand is how the orders stand, a state a reading; then the last one for ever.
type stand struct {
	states []orderevent.Standing
	fails  int // so many readings fail first
	told   []orderevent.Standing
}

func (s *stand) Standing(context.Context) (orderevent.Standing, error) {
	if s.fails--; s.fails >= 0 {
		return orderevent.Standing{}, errors.New("the database is away")
	}
	now := s.states[0]
	s.states = s.states[min(1, len(s.states)-1):]
	return now, nil
}

func (s *stand) Stand(now orderevent.Standing) { s.told = append(s.told, now) }

// TestAlarmsAreSaidOnce: each when it begins and when it is over, however often
// it is read in between; the metrics have every reading.
func TestAlarmsAreSaidOnce(t *testing.T) {
	long, short := 2*longMissing, longMissing/2
	for name, c := range map[string]struct {
		states []orderevent.Standing
		said   []string
	}{
		"lost its memory": {
			[]orderevent.Standing{
				{Open: 8}, {Open: 8, Missing: 3}, {Open: 9, Missing: 4}, {Open: 8, Missing: 5}, {Open: 8, Missing: 8}, {Open: 8, Missing: 2}, {},
			},
			[]string{"WARN lost its memory", "INFO most open orders again"},
		},
		"few of many": {[]orderevent.Standing{{Open: 100, Missing: 49}, {Open: 4, Missing: 4}}, nil},
		"missing": {
			[]orderevent.Standing{
				{Open: 9, Missing: 1, MissingOldest: short},
				{Open: 9, Missing: 1, MissingOldest: long},
				{Open: 9, Missing: 2, MissingOldest: long},
				{Open: 9, Missing: 1, MissingOldest: short},
				{Open: 9},
			},
			[]string{"WARN has lost open orders", "INFO no open order is missing"},
		},
		"waiting": {
			[]orderevent.Standing{{Open: 9, Waiting: 1, WaitingOldest: longWait / 2}, {Open: 9, Waiting: 1, WaitingOldest: 2 * longWait}, {}},
			[]string{"WARN orders wait long", "INFO no order waits long"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				s := &stand{states: slices.Clone(c.states)}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				Watch(ctx, s, s, slog.New(slog.NewTextHandler(&log, nil)))
				lines := strings.Split(strings.TrimSpace(log.String()), "\n")
				if len(c.said) == 0 && log.Len() > 0 || len(c.said) > 0 && len(lines) != len(c.said) {
					t.Fatalf("log:\n%s\nwant %q", log.String(), c.said)
				}
				for i, want := range c.said {
					level, text, _ := strings.Cut(want, " ")
					if !strings.Contains(lines[i], "level="+level) || !strings.Contains(lines[i], text) {
						t.Errorf("line %d is %s\nwant %q", i, lines[i], want)
					}
				}
				if len(s.told) < len(c.states) || !slices.Equal(s.told[:len(c.states)], c.states) {
					t.Errorf("told %+v, want %+v", s.told, c.states)
				}
			})
		})
	}
}

func TestWatchGoesOnAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &stand{states: []orderevent.Standing{{Open: 1}}, fails: 3}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		Watch(ctx, s, s, slog.New(slog.NewTextHandler(&log, nil)))
		if n := strings.Count(log.String(), "\n"); n != 2 || len(s.told) == 0 {
			t.Errorf("%d readings, log:\n%s", len(s.told), log.String())
		}
	})
}
