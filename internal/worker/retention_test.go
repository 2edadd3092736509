package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// letters are removed, so many a round; a negative number is a failure.
type letters struct{ rounds []int }

func (l *letters) Purge(context.Context) (int, error) {
	if len(l.rounds) == 0 {
		return 0, nil
	}
	n := l.rounds[0]
	l.rounds = l.rounds[1:]
	if n < 0 {
		return 0, errors.New("the database is away")
	}
	return n, nil
}

func TestRetainRunsAtOnceAndEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := &letters{[]int{7, -1, -1, 0, 3}}
		ctx, cancel := context.WithTimeout(t.Context(), 4*retainEvery+time.Minute)
		defer cancel()
		Retain(ctx, l, slog.New(slog.NewTextHandler(&log, nil)))
		if len(l.rounds) != 0 {
			t.Errorf("%d of 5 rounds are left after four hours", len(l.rounds))
		}
		if n := strings.Count(log.String(), "\n"); n != 4 || !strings.Contains(log.String(), "letters=7") {
			t.Errorf("want two removals, an outage and its end; log:\n%s", log.String())
		}
	})
}
