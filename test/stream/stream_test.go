package stream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"service-courier/internal/dev/pgtest"
)

// orders reads n changes and returns their orders with the last id.
func (w *world) orders(l *listener, n int) (orders []string, lastID string) {
	w.Helper()
	w.within("the changes are sent", func() {
		for len(orders) < n {
			e, err := l.next()
			if err != nil {
				w.Errorf("after %v: %v", orders, err)
				return
			}
			if e.kind == "change" {
				orders = append(orders, e.order())
			}
			if e.id != "" {
				lastID = e.id
			}
		}
	})
	return orders, lastID
}

// TestReplayWaitsForEarlierTransaction: a transaction with a lower id commits after one
// with a higher id, and a client disconnects in between. With its last id it receives
// both, once.
func TestReplayWaitsForEarlierTransaction(t *testing.T) {
	w := newWorld(t)
	first, err := w.listen("")
	w.must(err)
	_, err = w.pool.Exec(t.Context(), appended, "before")
	w.must(err)
	got, last := w.orders(first, 1)
	if got[0] != "before" || last == "" {
		t.Fatalf("received %v, last id %q", got, last)
	}
	slow, err := w.pool.Begin(t.Context())
	w.must(err)
	defer func() { _ = slow.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = slow.Exec(t.Context(), appended, "slow")
	w.must(err)
	_, err = w.pool.Exec(t.Context(), appended, "quick")
	w.must(err)
	w.must(first.body.Close())
	again, err := w.listen(last)
	w.must(err)
	w.must(slow.Commit(t.Context()))
	if got, _ := w.orders(again, 2); !slices.Equal(got, []string{"slow", "quick"}) {
		t.Errorf("received %v, want slow and quick", got)
	}
	w.must(again.body.Close())
	fresh, err := w.listen("0")
	w.must(err)
	e, err := fresh.next()
	w.must(err)
	if e.kind != "snapshot" || !json.Valid([]byte(e.data)) {
		t.Errorf("an unknown id got %+v, want a snapshot", e)
	}
	w.must(fresh.body.Close())
}

// TestStreamEndsWithTheDatabase: while PostgreSQL is unavailable a stream ends instead of
// staying silent, a new one is refused, and afterwards the client continues with its last id.
func TestStreamEndsWithTheDatabase(t *testing.T) {
	w := newWorld(t)
	l, err := w.listen("")
	w.must(err)
	_, err = w.pool.Exec(t.Context(), appended, "before")
	w.must(err)
	_, last := w.orders(l, 1)
	resume := pgtest.Interrupt(t, w.url)
	w.within("the stream ends", func() {
		if e, err := l.next(); !errors.Is(err, io.EOF) {
			w.Errorf("received %+v, %v; want the end", e, err)
		}
	})
	if l, err := w.listen(last); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a stream without the database: %v, %v; want status 503", l, err)
	}
	resume()
	again, err := w.listen(last)
	for deadline := time.Now().Add(patience); err != nil && time.Now().Before(deadline); { // a round that failed may not have ended
		again, err = w.listen(last)
	}
	w.must(err)
	_, err = w.pool.Exec(t.Context(), appended, "after")
	w.must(err)
	if got, _ := w.orders(again, 1); got[0] != "after" {
		t.Errorf("received %v, want after", got)
	}
	w.must(again.body.Close())
}

// TestStopDoesNotWaitForStreams: Server.Stop waits for requests, and a stream never
// ends by itself. Without RegisterOnShutdown it takes 5 s (tried).
func TestStopDoesNotWaitForStreams(t *testing.T) {
	w := newWorld(t)
	l, err := w.listen("")
	w.must(err)
	_, err = l.next()
	w.must(err)
	began := time.Now()
	w.must(w.server.Stop(t.Context()))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if _, err := io.Copy(io.Discard, l.in); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with an error: %v", err)
	}
	w.must(l.body.Close())
}
