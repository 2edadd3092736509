package stream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"
	"time"
)

// orders reads n changes and returns their orders with the last id.
func (w *world) orders(l *listener, n int) (orders []string, lastID string) {
	w.Helper()
	w.within(patience, "the changes are told", func() {
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

// TestReplayWaitsForTheLateTransaction: a transaction with a lower id commits
// after one with a higher, and a client leaves in between. Back with its last
// id, it is told both, once.
func TestReplayWaitsForTheLateTransaction(t *testing.T) {
	w := newWorld(t)
	first, err := w.listen("")
	w.must(err)
	_, err = w.pool.Exec(t.Context(), appended, "before")
	w.must(err)
	got, last := w.orders(first, 1)
	if got[0] != "before" || last == "" {
		t.Fatalf("told %v, last id %q", got, last)
	}
	late, err := w.pool.Begin(t.Context())
	w.must(err)
	defer func() { _ = late.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = late.Exec(t.Context(), appended, "late")
	w.must(err)
	_, err = w.pool.Exec(t.Context(), appended, "quick")
	w.must(err)
	w.must(first.body.Close())
	again, err := w.listen(last)
	w.must(err)
	w.must(late.Commit(t.Context()))
	if got, _ := w.orders(again, 2); !slices.Equal(got, []string{"late", "quick"}) {
		t.Errorf("told %v, want late and quick", got)
	}
	w.must(again.body.Close())
	anew, err := w.listen("0")
	w.must(err)
	e, err := anew.next()
	w.must(err)
	if e.kind != "snapshot" || !json.Valid([]byte(e.data)) {
		t.Errorf("an unknown id was told %+v, want a snapshot", e)
	}
	w.must(anew.body.Close())
}

// TestStopDoesNotWaitForStreams: Server.Stop waits for requests, and a stream
// has no end of its own. Without RegisterOnShutdown it takes 5 s (tried).
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
		t.Errorf("the stream did not end, it broke off: %v", err)
	}
	w.must(l.body.Close())
}
