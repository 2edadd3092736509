package orderevent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeOrderService knows these statuses; it answers 404 for any other order.
type fakeOrderService struct {
	mu     sync.Mutex
	status map[courier.OrderID]string
	gets   map[courier.OrderID]int
	slow   time.Duration
	down   bool // GETs fail and the breaker is open
	ready  error
	panics map[courier.OrderID]int // how many GETs of an order panic
	fails  error                   // of the orders whose id begins with "bad"
}

func (f *fakeOrderService) Ready(context.Context) error { return f.ready }
func (f *fakeOrderService) Tripped() bool               { return f.down }

func (f *fakeOrderService) Get(ctx context.Context, id courier.OrderID) (order.Order, error) {
	f.mu.Lock()
	status, known := f.status[id]
	if f.gets == nil {
		f.gets = make(map[courier.OrderID]int)
	}
	f.gets[id]++
	panics, slow := f.gets[id] <= f.panics[id], f.slow
	f.mu.Unlock()
	if panics {
		panic("fault in the client")
	}
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return order.Order{}, order.ErrUnavailable
	}
	switch {
	case f.down:
		return order.Order{}, order.ErrUnavailable
	case f.fails != nil && strings.HasPrefix(string(id), "bad"):
		return order.Order{}, f.fails
	case !known:
		return order.Order{}, order.ErrNotFound
	}
	return order.Order{ID: id, Status: status}, nil
}

// fakeStore is a Store without a database: no isolation, but the same contract.
type fakeStore struct {
	rows        map[courier.OrderID]Order
	deadLetters []DeadLetter
	fail        error
	reruns      int     // how often fn is run again before the commit
	match       Effects // of the match after Save
	failMatch   error
}

func (s *fakeStore) InTx(_ context.Context, fn func(Tx) error) error {
	if s.fail != nil {
		return s.fail
	}
	for range s.reruns {
		if err := fn(fakeTx{s: &fakeStore{rows: s.rows}}); err != nil {
			return err
		}
	}
	return fn(fakeTx{s: s})
}

type fakeTx struct {
	Tx // nil: no command assigns
	s  *fakeStore
}

func (tx fakeTx) LockOrders(_ context.Context, ids []courier.OrderID) (map[courier.OrderID]Order, error) {
	locked := make(map[courier.OrderID]Order)
	for _, id := range ids {
		if o, ok := tx.s.rows[id]; ok {
			locked[id] = o
		}
	}
	return locked, nil
}

func (tx fakeTx) Save(ctx context.Context, changes []Change) (Effects, error) {
	return tx.SaveAndCommit(ctx, changes, nil, 0)
}

func (tx fakeTx) SaveAndCommit(_ context.Context, changes []Change, deadLetters []DeadLetter, match int) (Effects, error) {
	effects := Effects{DeadLetters: len(deadLetters)}
	if match > 0 {
		if tx.s.failMatch != nil {
			return Effects{}, tx.s.failMatch
		}
		effects.Matched, effects.Assignments = tx.s.match.Matched, tx.s.match.Assignments
	}
	rows := make(map[courier.OrderID]Order)
	maps.Copy(rows, tx.s.rows)
	for _, c := range changes {
		rows[c.Next.OrderID] = c.Next
		if c.From != c.Next.State {
			effects.Transitions = append(effects.Transitions, Transition{OrderID: c.Next.OrderID, From: c.From, To: c.Next.State})
		}
	}
	tx.s.rows, tx.s.deadLetters = rows, append(tx.s.deadLetters, deadLetters...)
	return effects, nil
}

// fakeObserver records what it receives.
type fakeObserver struct {
	mu        sync.Mutex
	results   []BatchResult
	matched   []Assignment
	phases    []string
	coalesced int
	panics    int
}

func (f *fakeObserver) Reconciled(r BatchResult)  { f.results = append(f.results, r) }
func (f *fakeObserver) Matched(made []Assignment) { f.matched = append(f.matched, made...) }
func (f *fakeObserver) Coalesced(hints int)       { f.coalesced += hints }

func (f *fakeObserver) Panicked() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.panics++
}

func (f *fakeObserver) Begin(ctx context.Context, p Phase, _ ...Hint) (context.Context, End) {
	return ctx, func(orders int, err error) { f.phases = append(f.phases, fmt.Sprintf("%s %d %v", p, orders, err)) }
}

// fixture is a Reconciler among fakes.
type fixture struct {
	*Reconciler
	service  *fakeOrderService
	rows     *fakeStore
	observed *fakeObserver
	logged   *bytes.Buffer
}

func newFixture(status map[courier.OrderID]string) fixture {
	f := fixture{
		service: &fakeOrderService{status: status}, rows: &fakeStore{}, observed: &fakeObserver{}, logged: &bytes.Buffer{},
	}
	f.Reconciler = NewReconciler(
		f.service, f.rows, NewMatcher(nil, f.observed), f.observed, slog.New(slog.NewTextHandler(f.logged, nil)), 8)
	return f
}

// reconcile processes a batch with one hint per id.
func (f fixture) reconcile(t *testing.T, ids ...courier.OrderID) error {
	t.Helper()
	var b Batch
	for _, id := range ids {
		b.Hints = append(b.Hints, Hint{OrderID: id})
	}
	return f.Reconcile(t.Context(), b, nil)
}

// triggered reports whether matching was triggered since the last call.
func (f fixture) triggered() bool {
	select {
	case <-f.matcher.Triggered():
		return true
	default:
		return false
	}
}

// TestSmallBatchMatchesInItsTransaction: then no other match is needed, unless another
// replica matched at the same time, some orders may be left, or the match failed.
func TestSmallBatchMatchesInItsTransaction(t *testing.T) {
	assigned := []Assignment{{OrderID: "a", CourierID: 1}}
	for name, tt := range map[string]struct {
		store     fakeStore
		running   bool // another match
		triggered bool
		matched   int
	}{
		"matched":                 {store: fakeStore{match: Effects{Matched: true, Assignments: assigned}}, matched: 1},
		"no courier is free":      {store: fakeStore{match: Effects{Matched: true}}},
		"another replica matches": {store: fakeStore{match: Effects{Assignments: assigned}}, triggered: true, matched: 1},
		"orders may be left":      {store: fakeStore{match: Effects{Matched: true, Assignments: make([]Assignment, smallBatch)}}, triggered: true, matched: smallBatch},
		"match fails":             {store: fakeStore{failMatch: errors.New("broken index")}, triggered: true},
		"match is refused":        {store: fakeStore{failMatch: ErrRefused}, triggered: true},
		"another match runs":      {store: fakeStore{failMatch: errors.New("matched")}, running: true, triggered: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(map[courier.OrderID]string{"a": "created"})
			*f.rows = tt.store
			if tt.running {
				release, _ := f.matcher.reserve()
				defer release()
			}
			if err := f.reconcile(t, "a"); err != nil || f.rows.rows["a"].State != courier.StateWaiting {
				t.Fatalf("err %v, saved %v", err, f.rows.rows)
			}
			if got := f.triggered(); got != tt.triggered || len(f.observed.matched) != tt.matched {
				t.Errorf("match triggered %t, want %t; %d assignments reported, want %d", got, tt.triggered, len(f.observed.matched), tt.matched)
			}
			if _, free := f.matcher.reserve(); free == tt.running {
				t.Errorf("another match may run: %t", free)
			}
		})
	}
}

// TestStartIsReportedBeforeTheGET: a hint that arrives after the report is fetched
// again. It fails when the report comes after the answer, or not at all.
func TestStartIsReportedBeforeTheGET(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"a": "created", "b": "created"})
	starts := make(map[courier.OrderID]int) // the GETs of the order until then
	err := f.Reconcile(t.Context(), Batch{Hints: []Hint{{OrderID: "a"}, {OrderID: "b"}, {OrderID: "a"}}}, func(id courier.OrderID) {
		f.service.mu.Lock()
		defer f.service.mu.Unlock()
		starts[id] = f.service.gets[id]
	})
	if want := map[courier.OrderID]int{"a": 0, "b": 0}; err != nil || !maps.Equal(starts, want) {
		t.Errorf("starts %v, %v; want both orders, before their GETs", starts, err)
	}
}

func TestReconcileFetchesEachOrderOnceAndTriggersMatching(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"a": "created", "b": "completed"})
	batch := Batch{
		Hints:       []Hint{{OrderID: "a"}, {OrderID: "b"}, {OrderID: "a"}, {OrderID: "a"}},
		DeadLetters: []DeadLetter{{Reason: "not_json"}},
	}
	if err := f.Reconcile(t.Context(), batch, nil); err != nil {
		t.Fatal(err)
	}
	if f.service.gets["a"] != 1 || f.service.gets["b"] != 1 {
		t.Errorf("GETs: %v, want one per order", f.service.gets)
	}
	if f.rows.rows["a"].State != courier.StateWaiting || f.rows.rows["b"].State != courier.StateCompleted || len(f.rows.deadLetters) != 1 {
		t.Errorf("saved %+v and %d dead letters", f.rows.rows, len(f.rows.deadLetters))
	}
	if r := f.observed.results[0]; r.Hints != 4 || r.Outcomes[Applied] != 2 || r.DeadLetters != 1 {
		t.Errorf("result %+v", r)
	}
	if !f.triggered() {
		t.Error("matching was not triggered")
	}
	if err := f.Reconcile(t.Context(), batch, nil); err != nil {
		t.Fatal(err)
	}
	if r := f.observed.results[1]; r.Outcomes[Unchanged] != 2 || len(r.Transitions) != 0 {
		t.Errorf("the second time: result %+v, want no change", r)
	}
	if f.triggered() {
		t.Error("matching was triggered without a change")
	}
}

func TestRetriedTransactionIsCountedOnce(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"a": "created"})
	f.rows.reruns = 2
	if err := f.reconcile(t, "a"); err != nil {
		t.Fatal(err)
	}
	if r := f.observed.results[0]; r.Outcomes[Applied] != 1 || len(r.Transitions) != 1 {
		t.Errorf("result %+v, want one order applied once", r)
	}
}

func TestFailedTransactionReportsNothing(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"a": "created"})
	f.rows.fail = errors.New("commit: connection lost")
	if err := f.reconcile(t, "a"); !errors.Is(err, f.rows.fail) {
		t.Errorf("err = %v, want %v", err, f.rows.fail)
	}
	if len(f.observed.results) != 0 || f.triggered() {
		t.Error("a result was reported that is not known to be saved")
	}
}

// TestPhasesEndInOrder, also for a transaction that is retried and for one that fails.
func TestPhasesEndInOrder(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"a": "created"})
	f.rows.reruns = 1
	if err := f.reconcile(t, "a", "a"); err != nil {
		t.Fatal(err)
	}
	want := []string{"fetch 1 <nil>", "save 1 <nil>", "commit 1 " + errRetried.Error(), "save 1 <nil>", "commit 1 <nil>", "batch 2 <nil>"}
	if !slices.Equal(f.observed.phases, want) {
		t.Errorf("phases %q, want %q", f.observed.phases, want)
	}
	if tries := f.observed.results[0].Tries; tries != 2 {
		t.Errorf("%d tries, want 2", tries)
	}
	f.observed.phases, f.rows.fail = nil, errors.New("connection lost")
	_ = f.reconcile(t, "a")
	if want := []string{"fetch 1 <nil>", "batch 1 connection lost"}; !slices.Equal(f.observed.phases, want) {
		t.Errorf("phases %q, want %q", f.observed.phases, want)
	}
}

// TestAbortedFetchSavesNothing: GETs that a shutdown aborts look like an unavailable
// service-order and must not be saved as that.
func TestAbortedFetchSavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(map[courier.OrderID]string{"a": "created"})
		f.service.slow = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Reconcile(ctx, Batch{Hints: []Hint{{OrderID: "a"}}}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want DeadlineExceeded", err)
		}
		if len(f.rows.rows) != 0 {
			t.Errorf("saved %+v", f.rows.rows)
		}
	})
}

// cancellingStore is a fakeStore that cancels its batch when the transaction begins.
type cancellingStore struct {
	fakeStore
	cancel func()
	err    error         // of the transaction's context
	left   time.Duration // until its deadline
}

func (s *cancellingStore) InTx(ctx context.Context, fn func(Tx) error) error {
	s.cancel()
	deadline, _ := ctx.Deadline()
	s.err, s.left = ctx.Err(), time.Until(deadline)
	return s.fakeStore.InTx(ctx, fn)
}

// TestTransactionHasItsOwnDeadline: a revoked partition or a shutdown lets the COMMIT
// finish within txTimeout. It fails when the context of the batch ends the transaction,
// and when nothing does.
func TestTransactionHasItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(map[courier.OrderID]string{"a": "created"})
		ctx, cancel := context.WithCancel(t.Context())
		store := &cancellingStore{cancel: cancel}
		f.store = store
		if err := f.Reconcile(ctx, Batch{Hints: []Hint{{OrderID: "a"}}}, nil); err != nil {
			t.Fatal(err)
		}
		if store.err != nil || store.left != txTimeout {
			t.Errorf("the transaction's context: %v, %v left; want it alive, for %v", store.err, store.left, txTimeout)
		}
	})
}

// TestNothingIsSavedWhileServiceOrderIsUnavailable, whether the breaker was open before
// the batch or opened during it.
func TestNothingIsSavedWhileServiceOrderIsUnavailable(t *testing.T) {
	for name, fail := range map[string]func(*fakeOrderService){
		"before": func(s *fakeOrderService) { s.ready = order.ErrBreakerOpen },
		"during": func(s *fakeOrderService) { s.down = true },
	} {
		f := newFixture(map[courier.OrderID]string{"a": "created"})
		fail(f.service)
		if err := f.reconcile(t, "a"); !errors.Is(err, ErrPaused) {
			t.Errorf("%s: err = %v, want ErrPaused", name, err)
		}
		if len(f.rows.rows) != 0 {
			t.Errorf("%s: saved %+v", name, f.rows.rows)
		}
	}
}

func TestUnexpectedAnswersAreLogged(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"fell": "updated", "odd": "refunded"})
	f.rows.rows = map[courier.OrderID]Order{"fell": {OrderID: "fell", State: courier.StateCompleted}}
	if err := f.reconcile(t, "fell", "odd"); err != nil {
		t.Fatal(err)
	}
	if f.rows.rows["fell"].State != courier.StateCompleted {
		t.Errorf("an answer below the order's state changed it to %+v", f.rows.rows["fell"])
	}
	for _, want := range []string{"event ignored", "order_id=fell", "superseded", "unknown order status", "order_id=odd", "refunded"} {
		if !strings.Contains(f.logged.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, f.logged)
		}
	}
}

// TestOneLinePerCause: while some orders fail for minutes, the log has a line a minute, with
// their number and one of them, not one per order.
func TestOneLinePerCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(map[courier.OrderID]string{"good": "created", "odd-1": "refunded", "odd-2": "refunded"})
		f.service.fails = fmt.Errorf("%w: HTTP status 500", order.ErrUnavailable)
		lines := func(ids ...courier.OrderID) []string {
			t.Helper()
			f.logged.Reset()
			if err := f.reconcile(t, ids...); err != nil {
				t.Fatal(err)
			}
			all := slices.Sorted(strings.Lines(f.logged.String()))
			for i, text := range all {
				_, all[i], _ = strings.Cut(strings.TrimSpace(text), "level=")
			}
			return all
		}
		for _, step := range []struct {
			ids  []courier.OrderID
			want []string
		}{
			{
				[]courier.OrderID{"bad-1", "good", "bad-2", "absent", "odd-1", "odd-2"},
				[]string{
					`INFO msg="recheck scheduled" order_id=absent reason="not found in service-order" count=1 recheck_reason=missing`,
					`INFO msg="recheck scheduled" order_id=bad-1 reason="service-order is unavailable: HTTP status 500" count=2 recheck_reason=unavailable`,
					`WARN msg="unknown order status" order_id=odd-1 reason="service-order reports the unknown status \"refunded\"" count=2`,
				},
			},
			{[]courier.OrderID{"bad-3", "bad-4"}, nil},
			{
				[]courier.OrderID{"bad-5"},
				[]string{`INFO msg="recheck scheduled" order_id=bad-5 reason="service-order is unavailable: HTTP status 500" count=3 recheck_reason=unavailable`},
			},
			{[]courier.OrderID{"good"}, nil},
		} {
			if got := lines(step.ids...); !slices.Equal(got, step.want) {
				t.Errorf("%v: logged\n%s\nwant\n%s", step.ids, strings.Join(got, "\n"), strings.Join(step.want, "\n"))
			}
			<-time.After(summaryInterval / 2)
		}
	})
}

// TestLinesAreBounded: each order has another unknown status.
func TestLinesAreBounded(t *testing.T) {
	statuses, ids := make(map[courier.OrderID]string), make([]courier.OrderID, 10*maxLines)
	for i := range ids {
		ids[i] = courier.OrderID(strconv.Itoa(i))
		statuses[ids[i]] = "odd-" + strconv.Itoa(i)
	}
	f := newFixture(statuses)
	for batch := range slices.Chunk(ids, maxBatch) {
		if err := f.reconcile(t, batch...); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(f.logged.String(), "unknown order status"); n != maxLines+1 || len(f.summaries.lines) != maxLines+1 {
		t.Errorf("%d lines, %d remembered, want %d", n, len(f.summaries.lines), maxLines+1)
	}
}

// execute runs a command that records its arguments.
func (f fixture) execute(t *testing.T, id courier.OrderID) (o Order, missing, ran bool, err error) {
	t.Helper()
	err = f.Execute(t.Context(), id, "dispatcher", func(_ context.Context, _ Tx, given Order, notFound bool) (Effects, error) {
		o, missing, ran = given, notFound, true
		return Effects{}, nil
	})
	return o, missing, ran, err
}

// TestExecuteSavesTheAnswerFirst: the command gets an order that no event announced.
func TestExecuteSavesTheAnswerFirst(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"a": "cooking"})
	o, missing, ran, err := f.execute(t, "a")
	if err != nil || !ran || missing || o.State != courier.StateWaiting {
		t.Errorf("the command ran %t with %+v, missing %t, %v; want the order waiting", ran, o, missing, err)
	}
	if f.rows.rows["a"].State != courier.StateWaiting || !f.triggered() {
		t.Errorf("saved %+v; want the order waiting and matching triggered", f.rows.rows)
	}
}

// TestExecuteSavesNoUnknownOrder: commands for ids that service-order does not know
// fill no table and schedule no recheck.
func TestExecuteSavesNoUnknownOrder(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"odd": "refunded"})
	for id, notFound := range map[courier.OrderID]bool{"none": true, "odd": false} {
		o, missing, ran, err := f.execute(t, id)
		if err != nil || !ran || missing != notFound || o.State != courier.StateNone {
			t.Errorf("%s: the command ran %t with %+v, missing %t, %v", id, ran, o, missing, err)
		}
	}
	if len(f.rows.rows) != 0 {
		t.Errorf("saved %+v, want nothing", f.rows.rows)
	}
}

func TestExecuteMarksAnActiveOrderMissing(t *testing.T) {
	f := newFixture(nil)
	f.rows.rows = map[courier.OrderID]Order{"a": {OrderID: "a", State: courier.StateAssigned}}
	o, missing, _, err := f.execute(t, "a")
	if err != nil || !missing || !o.Missing || o.State != courier.StateAssigned || !f.rows.rows["a"].Missing {
		t.Errorf("given %+v, missing %t, %v; want it assigned and missing", o, missing, err)
	}
}

// TestExecuteWithoutAnAnswerChangesNothing: the command does not run.
func TestExecuteWithoutAnAnswerChangesNothing(t *testing.T) {
	open := newFixture(nil)
	open.service.ready = order.ErrBreakerOpen
	failing := newFixture(nil)
	failing.service.down = true
	panicking := newFixture(nil)
	panicking.service.panics = map[courier.OrderID]int{"a": 100}
	for name, tt := range map[string]struct {
		f    fixture
		want error
	}{
		"breaker open": {open, courier.ErrOrdersUnavailable}, "GET failed": {failing, courier.ErrOrdersUnavailable},
		"GET panicked": {panicking, nil},
	} {
		_, _, ran, err := tt.f.execute(t, "a")
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || ran || len(tt.f.rows.rows) != 0 {
			t.Errorf("%s: err = %v, ran %t; want %v and no change", name, err, ran, tt.want)
		}
	}
}

func TestExecuteRunsAgainWithTheTransaction(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"a": "cooking"})
	f.rows.reruns = 2
	made := Assignment{OrderID: "a", CourierID: 7}
	err := f.Execute(t.Context(), "a", "dispatcher", func(context.Context, Tx, Order, bool) (Effects, error) {
		return Effects{Assignments: []Assignment{made}}, nil
	})
	if err != nil || len(f.observed.matched) != 1 || f.observed.matched[0] != made {
		t.Errorf("reported %+v, %v; want the assignment once", f.observed.matched, err)
	}
}
