package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
)

// late is both sides of the loop: these orders are late until they are expired.
type late struct {
	ids   []courier.OrderID
	fails map[courier.OrderID]error
	takes time.Duration // to ask about one

	mu   sync.Mutex
	done []courier.OrderID
	now  int // being asked about
	most int // of now
}

func (l *late) Overdue(context.Context) ([]courier.OrderID, error) {
	return append([]courier.OrderID(nil), l.ids...), nil
}

func (l *late) Expire(ctx context.Context, id courier.OrderID) (bool, error) {
	if err := l.fails[id]; err != nil {
		return false, err
	}
	l.asking(1)
	defer l.asking(-1)
	select {
	case <-time.After(l.takes):
	case <-ctx.Done():
		return false, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, id)
	return true, nil
}

func (l *late) asking(more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now += more
	l.most = max(l.most, l.now)
}

func runOverdue(t *testing.T, l *late, down bool) (log string) {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*overdueEvery/2) // one round
		defer cancel()
		Overdue(ctx, l, l, &world{down: down}, slog.New(slog.NewTextHandler(&out, nil)))
	})
	return out.String()
}

// TestOneThatCannotBeExpiredKeepsNobodyWaiting: those that are asked about when it fails
// are not given up. They are when its failure is the group's.
func TestOneThatCannotBeExpiredKeepsNobodyWaiting(t *testing.T) {
	l := &late{ids: []courier.OrderID{"a", "b"}, takes: time.Millisecond, fails: map[courier.OrderID]error{"a": errors.New("HTTP status 500")}}
	log := runOverdue(t, l, false)
	if len(l.done) != 1 || l.done[0] != "b" || !strings.Contains(log, "HTTP status 500") || !strings.Contains(log, "order_id=b") {
		t.Errorf("expired %v, log:\n%s", l.done, log)
	}
}

// TestLateOrdersDoNotWaitForEachOther: service-order takes a while for each of a
// dozen, and all are done within half a second, but not by asking about all of them at
// once. One after the other fails, and so does no limit (tried).
func TestLateOrdersDoNotWaitForEachOther(t *testing.T) {
	l := &late{takes: 200 * time.Millisecond}
	const dozen = 12
	for i := range dozen {
		l.ids = append(l.ids, courier.OrderID(fmt.Sprint(i)))
	}
	if runOverdue(t, l, false); len(l.done) != dozen {
		t.Errorf("%d of %d are done after half a second", len(l.done), dozen)
	}
	if l.most > overdueAtATime {
		t.Errorf("%d were asked about at a time, want at most %d", l.most, overdueAtATime)
	}
}

func TestNothingExpiresWhileServiceOrderIsDown(t *testing.T) {
	l := &late{ids: []courier.OrderID{"a"}}
	if runOverdue(t, l, true); len(l.done) != 0 {
		t.Errorf("expired %v", l.done)
	}
}

func TestExpiringStopsWhileTheStorageIsAway(t *testing.T) {
	l := &late{takes: time.Millisecond, fails: map[courier.OrderID]error{"0": courier.ErrUnavailable}}
	for i := range 10 * overdueAtATime {
		l.ids = append(l.ids, courier.OrderID(fmt.Sprint(i)))
	}
	if runOverdue(t, l, false); len(l.done) > overdueAtATime {
		t.Errorf("expired %v", l.done)
	}
}
