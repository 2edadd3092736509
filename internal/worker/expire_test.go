package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
)

// deliveries are overdue until they are expired.
type deliveries struct {
	ids    []courier.OrderID
	fails  map[courier.OrderID]error
	panics courier.OrderID
	takes  time.Duration // to expire one

	mu   sync.Mutex
	done []courier.OrderID
	now  int // being expired
	most int // of now
}

func (d *deliveries) overdue(context.Context) ([]courier.OrderID, error) {
	return append([]courier.OrderID(nil), d.ids...), nil
}

func (d *deliveries) expire(ctx context.Context, id courier.OrderID) (bool, error) {
	if err := d.fails[id]; err != nil {
		return false, err
	}
	if id == d.panics {
		panic("fault")
	}
	d.count(1)
	defer d.count(-1)
	select {
	case <-time.After(d.takes):
	case <-ctx.Done():
		return false, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, id)
	return true, nil
}

func (d *deliveries) count(more int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now += more
	d.most = max(d.most, d.now)
}

func runExpire(t *testing.T, d *deliveries, down bool) (log string) {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		runFor(t, expireInterval/2, logTo(&out), ExpireOverdue(d.overdue, d.expire, &world{down: down}, logTo(&out))) // one round
	})
	return out.String()
}

// TestFailedExpiryDoesNotStopTheOthers: neither an error of one order nor a panic stops
// the others. It fails when the first error cancels the rest, and ends the process when a
// panic is not contained.
func TestFailedExpiryDoesNotStopTheOthers(t *testing.T) {
	d := &deliveries{
		ids: []courier.OrderID{"a", "b", "c"}, takes: time.Millisecond,
		fails: map[courier.OrderID]error{"a": errors.New("HTTP status 500")}, panics: "c",
	}
	log := runExpire(t, d, false)
	if len(d.done) != 1 || d.done[0] != "b" || !strings.Contains(log, "panic recovered") || !strings.Contains(log, "order_id=b") {
		t.Errorf("expired %v, log:\n%s", d.done, log)
	}
	d.panics = ""
	if log := runExpire(t, d, false); !strings.Contains(log, "HTTP status 500") {
		t.Errorf("log:\n%s", log)
	}
}

// TestOverdueOrdersDoNotWaitForEachOther: service-order takes a while for each of a
// dozen; all are done within half a second, but not all at once. It fails when they are
// expired one after the other, and without a limit (tried).
func TestOverdueOrdersDoNotWaitForEachOther(t *testing.T) {
	d := &deliveries{takes: 200 * time.Millisecond}
	const dozen = 12
	for i := range dozen {
		d.ids = append(d.ids, courier.OrderID(fmt.Sprint(i)))
	}
	if runExpire(t, d, false); len(d.done) != dozen {
		t.Errorf("%d of %d are done after half a second", len(d.done), dozen)
	}
	if d.most > expireConcurrency {
		t.Errorf("%d were expired at a time, want at most %d", d.most, expireConcurrency)
	}
}

func TestNothingExpiresWhileServiceOrderIsDown(t *testing.T) {
	d := &deliveries{ids: []courier.OrderID{"a"}}
	if runExpire(t, d, true); len(d.done) != 0 {
		t.Errorf("expired %v", d.done)
	}
}

func TestExpiryStopsWhileTheDatabaseIsUnavailable(t *testing.T) {
	d := &deliveries{takes: time.Millisecond, fails: map[courier.OrderID]error{"0": courier.ErrUnavailable}}
	for i := range 10 * expireConcurrency {
		d.ids = append(d.ids, courier.OrderID(fmt.Sprint(i)))
	}
	if runExpire(t, d, false); len(d.done) > expireConcurrency {
		t.Errorf("expired %v", d.done)
	}
}
