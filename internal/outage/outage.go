// Package outage says in the log that something fails, once, and that it works
// again, once, however often it is tried in between. It decides nothing.
package outage

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Log watches one thing that can fail. It is safe for concurrent use.
type Log struct {
	log  *slog.Logger
	what string

	mu    sync.Mutex
	since time.Time // zero while it works
	tries int
	told  map[string]bool // by what would mend it
}

// New returns a Log of what, such as "kafka".
func New(log *slog.Logger, what string) *Log { return &Log{log: log, what: what} }

// Failed reports a failure: the first of an outage is logged, and after it the
// first that is to be mended otherwise, since a second fault may lie behind the
// one that was just mended.
func (l *Log) Failed(ctx context.Context, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries++
	begins := l.since.IsZero()
	if begins {
		l.since, l.told = time.Now(), make(map[string]bool)
	}
	mend := ""
	if m, ok := errors.AsType[Mendable](err); ok {
		mend = m.Mend
	}
	if begins || mend != "" && !l.told[mend] {
		l.told[mend] = true
		l.log.WarnContext(ctx, "unavailable; trying on until it is back", slog.String("what", l.what), slog.Any("error", err))
	}
}

// Works reports a success: the first after an outage is logged.
func (l *Log) Works(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return
	}
	l.log.InfoContext(ctx, "available again", slog.String("what", l.what),
		slog.String("after", time.Since(l.since).Round(time.Millisecond).String()), slog.Int("tries", l.tries))
	l.since, l.tries = time.Time{}, 0
}
