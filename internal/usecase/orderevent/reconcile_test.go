package orderevent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// neighbour is a service-order that knows these statuses; an id without one
// answers 404. It counts GETs and can be slow.
type neighbour struct {
	mu     sync.Mutex
	status map[courier.OrderID]string
	gets   map[courier.OrderID]int
	slow   time.Duration
	down   bool // for everybody: GETs fail and the breaker is open
	ready  error
}

func (n *neighbour) Ready(context.Context) error { return n.ready }
func (n *neighbour) Tripped() bool               { return n.down }

func (n *neighbour) Get(ctx context.Context, id courier.OrderID) (order.Order, error) {
	n.mu.Lock()
	status, known := n.status[id]
	if n.gets == nil {
		n.gets = make(map[courier.OrderID]int)
	}
	n.gets[id]++
	slow := n.slow
	n.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return order.Order{}, order.ErrUnavailable
	}
	switch {
	case n.down:
		return order.Order{}, order.ErrUnavailable
	case !known:
		return order.Order{}, order.ErrNotFound
	}
	return order.Order{ID: id, Status: status}, nil
}

// memory is a Store without a database: no isolation, but the same contract.
type memory struct {
	records map[courier.OrderID]Record
	letters []DeadLetter
	fail    error
	reruns  int // how often fn is run again before the commit
}

func (m *memory) InTx(_ context.Context, fn func(Tx) error) error {
	if m.fail != nil {
		return m.fail
	}
	for range m.reruns {
		if err := fn(memoryTx{m: &memory{records: m.records}}); err != nil {
			return err
		}
	}
	return fn(memoryTx{m: m})
}

type memoryTx struct {
	Tx // nil: nothing is assigned by hand
	m  *memory
}

func (tx memoryTx) LockOrders(_ context.Context, ids []courier.OrderID) (map[courier.OrderID]Record, error) {
	found := make(map[courier.OrderID]Record)
	for _, id := range ids {
		if rec, ok := tx.m.records[id]; ok {
			found[id] = rec
		}
	}
	return found, nil
}

func (tx memoryTx) Save(_ context.Context, changes []Change, letters []DeadLetter) (Saved, error) {
	saved := Saved{Letters: len(letters)}
	next := make(map[courier.OrderID]Record)
	maps.Copy(next, tx.m.records)
	for _, c := range changes {
		next[c.Next.OrderID] = c.Next
		if c.From != c.Next.State {
			saved.Transitions = append(saved.Transitions, Transition{OrderID: c.Next.OrderID, From: c.From, To: c.Next.State})
		}
	}
	tx.m.records, tx.m.letters = next, append(tx.m.letters, letters...)
	return saved, nil
}

// recorder is an Observer that remembers.
type recorder struct {
	outcomes []Outcome
	matched  []Assignment
	phases   []string
}

func (r *recorder) Reconciled(o Outcome)      { r.outcomes = append(r.outcomes, o) }
func (r *recorder) Matched(made []Assignment) { r.matched = append(r.matched, made...) }

func (r *recorder) Begin(ctx context.Context, p Phase, _ ...Hint) (context.Context, End) {
	return ctx, func(orders int, err error) { r.phases = append(r.phases, fmt.Sprintf("%s %d %v", p, orders, err)) }
}

type rig struct {
	*Reconciler
	client  *neighbour
	store   *memory
	matcher *Matcher
	seen    *recorder
	log     *bytes.Buffer
}

func newRig(status map[courier.OrderID]string) rig {
	r := rig{client: &neighbour{status: status}, store: &memory{}, seen: &recorder{}, log: &bytes.Buffer{}}
	r.matcher = NewMatcher(nil, r.seen)
	r.Reconciler = NewReconciler(r.client, r.store, r.matcher, r.seen, slog.New(slog.NewTextHandler(r.log, nil)), 8)
	return r
}

func (r rig) woken() bool {
	select {
	case <-r.matcher.Woken():
		return true
	default:
		return false
	}
}

// TestGETIsToldBeforeItBegins: whatever comes of the order after the telling is asked
// for anew. It fails when that is told only once the answer is there, or not at all.
func TestGETIsToldBeforeItBegins(t *testing.T) {
	r := newRig(map[courier.OrderID]string{"a": "created", "b": "created"})
	told := make(map[courier.OrderID]int) // the GETs of the order until then
	err := r.Reconcile(t.Context(), Batch{
		Hints: []Hint{{OrderID: "a"}, {OrderID: "b"}, {OrderID: "a"}},
		Asking: func(id courier.OrderID) {
			r.client.mu.Lock()
			defer r.client.mu.Unlock()
			told[id] = r.client.gets[id]
		},
	})
	if want := map[courier.OrderID]int{"a": 0, "b": 0}; err != nil || !maps.Equal(told, want) {
		t.Errorf("told of %v, %v; want both orders, before their GETs", told, err)
	}
}

func TestReconcileAsksEachOrderOnceAndWakesTheMatcher(t *testing.T) {
	r := newRig(map[courier.OrderID]string{"a": "created", "b": "completed"})
	batch := Batch{
		Hints:   []Hint{{OrderID: "a"}, {OrderID: "b"}, {OrderID: "a"}, {OrderID: "a"}},
		Letters: []DeadLetter{{Reason: "not_json"}},
	}
	if err := r.Reconcile(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if r.client.gets["a"] != 1 || r.client.gets["b"] != 1 {
		t.Errorf("GETs: %v, want one an order", r.client.gets)
	}
	if r.store.records["a"].State != courier.StateWaiting || r.store.records["b"].State != courier.StateCompleted || len(r.store.letters) != 1 {
		t.Errorf("saved %+v and %d letters", r.store.records, len(r.store.letters))
	}
	if o := r.seen.outcomes[0]; o.Hints != 4 || o.Dispositions[Applied] != 2 || o.Letters != 1 {
		t.Errorf("outcome %+v", o)
	}
	if !r.woken() {
		t.Error("the matcher was not woken")
	}
	if err := r.Reconcile(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if o := r.seen.outcomes[1]; o.Dispositions[Unchanged] != 2 || len(o.Transitions) != 0 {
		t.Errorf("the second time: outcome %+v, want nothing changed", o)
	}
	if r.woken() {
		t.Error("the matcher was woken for nothing")
	}
}

func TestReconcileCountsARepeatedTransactionOnce(t *testing.T) {
	r := newRig(map[courier.OrderID]string{"a": "created"})
	r.store.reruns = 2
	if err := r.Reconcile(t.Context(), Batch{Hints: []Hint{{OrderID: "a"}}}); err != nil {
		t.Fatal(err)
	}
	if o := r.seen.outcomes[0]; o.Dispositions[Applied] != 1 || len(o.Transitions) != 1 {
		t.Errorf("outcome %+v, want one order applied once", o)
	}
}

func TestReconcileReportsNothingThatWasNotSaved(t *testing.T) {
	r := newRig(map[courier.OrderID]string{"a": "created"})
	r.store.fail = errors.New("commit: connection lost")
	if err := r.Reconcile(t.Context(), Batch{Hints: []Hint{{OrderID: "a"}}}); !errors.Is(err, r.store.fail) {
		t.Errorf("err = %v, want %v", err, r.store.fail)
	}
	if len(r.seen.outcomes) != 0 || r.woken() {
		t.Error("something was reported that is not known to be saved")
	}
}

// TestAbortedGETsSayNothing: GETs that a shutdown aborts look like an absent
// service-order and must not be saved as one.
func TestAbortedGETsSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(map[courier.OrderID]string{"a": "created"})
		r.client.slow = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Reconcile(ctx, Batch{Hints: []Hint{{OrderID: "a"}}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want DeadlineExceeded", err)
		}
		if len(r.store.records) != 0 {
			t.Errorf("saved %+v", r.store.records)
		}
	})
}

// leaving is a memory whose batch is given up when its transaction begins.
type leaving struct {
	memory
	giveUp func()
	err    error         // of the transaction's context
	left   time.Duration // until its deadline
}

func (l *leaving) InTx(ctx context.Context, fn func(Tx) error) error {
	l.giveUp()
	deadline, _ := ctx.Deadline()
	l.err, l.left = ctx.Err(), time.Until(deadline)
	return l.memory.InTx(ctx, fn)
}

// TestTransactionHasADeadlineOfItsOwn: a partition that is revoked, or a shutdown, lets
// the COMMIT finish, and only that long. It fails when the batch's context ends the
// transaction, and when nothing does.
func TestTransactionHasADeadlineOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(map[courier.OrderID]string{"a": "created"})
		ctx, cancel := context.WithCancel(t.Context())
		store := &leaving{giveUp: cancel}
		r.Reconciler.store = store
		if err := r.Reconcile(ctx, Batch{Hints: []Hint{{OrderID: "a"}}}); err != nil {
			t.Fatal(err)
		}
		if store.err != nil || store.left != txTimeout {
			t.Errorf("the transaction's context: %v, %v left; want it to go on, for %v", store.err, store.left, txTimeout)
		}
	})
}

// TestNothingIsSavedWhileServiceOrderIsDownForEverybody: the batch is refused
// as a whole, whether the breaker was open before or opened over it.
func TestNothingIsSavedWhileServiceOrderIsDownForEverybody(t *testing.T) {
	for name, down := range map[string]func(*neighbour){
		"before":    func(n *neighbour) { n.ready = order.ErrOpen },
		"meanwhile": func(n *neighbour) { n.down = true },
	} {
		r := newRig(map[courier.OrderID]string{"a": "created"})
		down(r.client)
		if err := r.Reconcile(t.Context(), Batch{Hints: []Hint{{OrderID: "a"}}}); !errors.Is(err, ErrPaused) {
			t.Errorf("%s: err = %v, want ErrPaused", name, err)
		}
		if len(r.store.records) != 0 {
			t.Errorf("%s: saved %+v", name, r.store.records)
		}
	}
}

func TestWhatNobodyExpectedIsLogged(t *testing.T) {
	r := newRig(map[courier.OrderID]string{"fell": "updated", "odd": "refunded"})
	r.store.records = map[courier.OrderID]Record{"fell": {OrderID: "fell", State: courier.StateCompleted}}
	if err := r.Reconcile(t.Context(), Batch{Hints: []Hint{{OrderID: "fell"}, {OrderID: "odd"}}}); err != nil {
		t.Fatal(err)
	}
	if r.store.records["fell"].State != courier.StateCompleted {
		t.Errorf("a truth that fell changed the record to %+v", r.store.records["fell"])
	}
	for _, want := range []string{"order_id=fell", "superseded", "order_id=odd", "refunded"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, r.log)
		}
	}
}

// pages is a Line that assigns what is left, a page at a time.
type pages struct{ left, calls int }

func (p *pages) Match(_ context.Context, limit int) ([]Assignment, error) {
	p.calls++
	n := min(limit, p.left)
	p.left -= n
	return make([]Assignment, n), nil
}

func TestMatchGoesOnUntilTheLineIsEmpty(t *testing.T) {
	line := &pages{left: 2*matchBatch + 1}
	if err := NewMatcher(line, &recorder{}).Match(t.Context()); err != nil || line.left != 0 || line.calls != 3 {
		t.Errorf("err %v, %d left after %d calls", err, line.left, line.calls)
	}
}

// meeting is a Line that holds who comes until let go, and knows whether two met.
type meeting struct {
	assigned int
	err      error
	came     chan struct{}
	leave    chan struct{}
	here     atomic.Int32
	met      atomic.Bool
}

func (m *meeting) Match(ctx context.Context, _ int) ([]Assignment, error) {
	if m.here.Add(1) > 1 {
		m.met.Store(true)
	}
	defer m.here.Add(-1)
	m.came <- struct{}{}
	select {
	case <-m.leave:
		return make([]Assignment, m.assigned), m.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestOneMatchAtATime, of whoever comes; a worker who finds another at it waits, and
// a third goes on.
func TestOneMatchAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := &meeting{came: make(chan struct{}, 9), leave: make(chan struct{})}
		m := NewMatcher(line, &recorder{})
		var followers sync.WaitGroup
		var gone atomic.Int32
		m.Wake()
		for range 3 {
			followers.Go(func() { m.Follow(t.Context()); gone.Add(1) })
		}
		synctest.Wait()
		if len(line.came) != 1 || gone.Load() != 1 {
			t.Errorf("%d match at once, %d of three go on, want 1 and 1", len(line.came), gone.Load())
		}
		m.Wake() // for a batch that was saved meanwhile
		line.leave <- struct{}{}
		line.leave <- struct{}{}
		followers.Wait()
		if len(line.came) != 2 || line.met.Load() {
			t.Errorf("matched %d times for two wakes, two at once: %t", len(line.came), line.met.Load())
		}
	})
}

// TestWhoWaitedToMatchHasTimeLeft: matches that take long, as while another replica
// holds the turn, do not use up the time of those who wait for them.
func TestWhoWaitedToMatchHasTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := &meeting{came: make(chan struct{}, 9), leave: make(chan struct{})}
		m := NewMatcher(line, &recorder{})
		go func() {
			for range 3 {
				time.Sleep(matchTimeout * 2 / 3)
				line.leave <- struct{}{}
			}
		}()
		var matchers sync.WaitGroup
		for range 3 {
			matchers.Go(func() {
				if err := m.Match(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		matchers.Wait()
	})
}

// TestWhatABatchLeavesUnmatchedIsForTheNext: a batch matches once; somebody else is
// woken for what is left, and for what failed or hangs.
func TestWhatABatchLeavesUnmatchedIsForTheNext(t *testing.T) {
	for name, tt := range map[string]struct {
		line  *meeting
		hangs bool
		wakes int
	}{
		"all are matched":    {&meeting{assigned: matchBatch - 1}, false, 0},
		"there are more":     {&meeting{assigned: matchBatch}, false, 1},
		"PostgreSQL is away": {&meeting{err: errors.New("connection lost")}, false, 1},
		"PostgreSQL hangs":   {&meeting{}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.line.came, tt.line.leave = make(chan struct{}, 9), make(chan struct{})
				m := NewMatcher(tt.line, &recorder{})
				m.Wake()
				if !tt.hangs {
					go func() { tt.line.leave <- struct{}{} }()
				}
				began := time.Now()
				m.Follow(t.Context())
				if wakes := len(m.Woken()); len(tt.line.came) != 1 || wakes != tt.wakes {
					t.Errorf("matched %d times and woke %d times, want 1 and %d", len(tt.line.came), wakes, tt.wakes)
				}
				if took := time.Since(began); took > matchTimeout {
					t.Errorf("the worker was kept for %v", took)
				}
			})
		})
	}
}
