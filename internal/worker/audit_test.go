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
)

// audits are what an Auditor finds, one after the other; then nothing. A nil one fails.
type audits struct {
	found [][]string
	told  []int
}

func (a *audits) next() []string {
	if len(a.found) == 0 {
		return []string{}
	}
	now := a.found[0]
	a.found = a.found[1:]
	return now
}

// auditor is apart from audits, which is an AuditObserver.
type auditor struct{ *audits }

func (a auditor) Broken(context.Context) ([]string, error) {
	if now := a.next(); now != nil {
		return slices.Clone(now), nil
	}
	return nil, errors.New("the database is away")
}

func (a *audits) Broken(promises int) { a.told = append(a.told, promises) }

// TestAuditTellsWhatLasts: a promise that is broken for a moment is no alarm; one
// that stays is told once, and so is its end.
func TestAuditTellsWhatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := &audits{found: [][]string{
			{},        // sound
			{"x"}, {}, // passing
			{"x"}, {"y"}, // two that pass
			{"x", "y"}, {"x"}, // one that lasts
			{"x"}, {"x"}, // still
			nil, // not known
			{},  // over
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 8*auditEvery)
		defer cancel()
		Audit(ctx, auditor{a}, a, slog.New(slog.NewTextHandler(&log, nil)))
		if want := []int{0, 0, 0, 1, 1, 0}; len(a.told) < len(want) || !slices.Equal(a.told[:len(want)], want) {
			t.Errorf("told %v, want %v", a.told, want)
		}
		for text, want := range map[string]int{"level=ERROR": 1, "first=x": 1, "keeps its promises again": 1, "trying on until it is back": 1} {
			if n := strings.Count(log.String(), text); n != want {
				t.Errorf("%q is logged %d times, want %d:\n%s", text, n, want, log.String())
			}
		}
	})
}
