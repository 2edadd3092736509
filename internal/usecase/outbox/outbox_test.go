package outbox_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/outbox"
)

var oneSeed = flag.Uint64("seed", 0, "the seed of random tests; 0 takes new ones")

var errBroken = errors.New("broken")

// world is a database and a broker. Transactions go on, calls fail and another replica
// publishes at random moments.
type world struct {
	*testing.T
	luck     *rand.Rand
	visible  []livefeed.Change
	end      int64
	running  []transaction
	position int64
	begun    bool
	other    *outbox.Outbox // the other replica
	healthy  bool
	epoch    uint64
	nested   bool // the other replica publishes
	operator bool // publishes again from some time: not always, since this repairs what was left out

	published map[int64]int // by sequence
	events    []outbox.Event
}

type transaction struct {
	livefeed.Writer
	changes []livefeed.Change
}

func (w *world) chance(percent int) bool {
	return !w.healthy && w.luck.IntN(100) < percent
}

func (w *world) locked(order courier.OrderID) bool {
	return slices.ContainsFunc(w.running, func(t transaction) bool {
		return slices.ContainsFunc(t.changes, func(c livefeed.Change) bool { return c.OrderID == order })
	})
}

// step lets the transactions go on: each order is changed by one at a time.
func (w *world) step() {
	if w.chance(20) {
		w.running = append(w.running, transaction{Writer: livefeed.Writer{Transaction: fmt.Sprint(w.end, len(w.running)), PID: 1}})
	}
	for i := range slices.Backward(w.running) {
		t := &w.running[i]
		order := courier.OrderID("abc"[w.luck.IntN(3):][:1])
		switch {
		case w.chance(40) && !w.locked(order):
			w.end++
			t.changes = append(t.changes, livefeed.Change{ID: w.end, OrderID: order, State: courier.StateWaiting})
		case w.chance(30):
			w.finish(i, true)
		case w.chance(10):
			w.finish(i, false)
		}
	}
}

func (w *world) finish(i int, commit bool) {
	if commit {
		w.visible = append(w.visible, w.running[i].changes...)
		slices.SortFunc(w.visible, func(a, b livefeed.Change) int { return cmp.Compare(a.ID, b.ID) })
	}
	w.running = slices.Delete(w.running, i, i+1)
}

// interrupt is what may happen at any access.
func (w *world) interrupt(ctx context.Context) error {
	w.step()
	if !w.nested && w.chance(10) {
		w.nested = true
		_ = w.other.Publish(ctx)
		w.nested = false
	}
	if w.operator && !w.nested && w.chance(3) {
		w.nested = true
		_ = outbox.PublishSince(ctx, w, w, w, time.Time{}, false)
		w.nested = false
	}
	if w.chance(5) {
		return errBroken
	}
	return nil
}

// Since finds any id: an operator may have published again from any time. A later one than
// the position is refused.
func (w *world) Since(ctx context.Context, _ time.Time, end int64) (int64, error) {
	err := w.interrupt(ctx)
	return w.luck.Int64N(end + 1), err
}

func (w *world) End(ctx context.Context) (livefeed.Cursor, error) {
	err := w.interrupt(ctx)
	return livefeed.Cursor{Epoch: w.epoch, ID: w.end}, err
}

func (w *world) After(ctx context.Context, id int64, limit int) ([]livefeed.Change, error) {
	err := w.interrupt(ctx)
	i, _ := slices.BinarySearchFunc(w.visible, id+1, func(c livefeed.Change, id int64) int { return cmp.Compare(c.ID, id) })
	return slices.Clone(w.visible[i:min(len(w.visible), i+limit)]), err
}

func (w *world) Writers(ctx context.Context) (writers []livefeed.Writer, err error) {
	err = w.interrupt(ctx)
	for _, t := range w.running {
		writers = append(writers, t.Writer)
	}
	return writers, err
}

func (w *world) Before(_ context.Context, id int64, _ int) (int64, error) { return id, nil }

func (w *world) Position(ctx context.Context) (int64, bool, error) {
	err := w.interrupt(ctx)
	return w.position, w.begun, err
}

func (w *world) Begin(ctx context.Context, at livefeed.Cursor) error {
	if err := w.interrupt(ctx); err != nil || w.begun {
		return err
	}
	w.position, w.begun = at.ID, true
	return w.answer()
}

func (w *world) Advance(ctx context.Context, from, to int64) error {
	if err := w.interrupt(ctx); err != nil {
		return err
	}
	if w.position != from {
		return outbox.ErrMoved
	}
	w.position = to
	return w.answer()
}

// answer loses the answer of what took effect.
func (w *world) answer() error {
	if w.chance(5) {
		return errBroken
	}
	return nil
}

// Publish loses some of the events when it fails, and then all later ones of their orders.
func (w *world) Publish(ctx context.Context, events []outbox.Event) error {
	fails := w.interrupt(ctx) != nil || w.chance(20)
	lost := make(map[courier.OrderID]bool)
	for _, e := range events {
		if lost[e.OrderID] || fails && w.chance(50) {
			lost[e.OrderID] = true
			continue
		}
		for _, c := range w.visible {
			if c.OrderID == e.OrderID && c.ID < e.Sequence && w.published[c.ID] == 0 {
				w.Fatalf("%s is published before %d of the same order", e.ID(), c.ID)
			}
		}
		w.published[e.Sequence]++
		w.events = append(w.events, e)
	}
	if fails {
		return errBroken
	}
	return nil
}

// TestEveryTransitionIsPublished: transactions commit in any order, late and never, calls
// fail at any moment, also after they took effect, a second replica publishes meanwhile, and
// the first one crashes. Every transition is published, none that was rolled back, and none
// before an earlier one of its order. A failure names its seed, and -args -seed repeats it.
// TestChaos of test/faults holds the same of replicas on PostgreSQL and Kafka.
func TestEveryTransitionIsPublished(t *testing.T) {
	const histories = 100
	first, n := rand.Uint64(), uint64(histories)
	if *oneSeed != 0 {
		first, n = *oneSeed, 1
	}
	for i := range n {
		if seed := first + i; !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { publishesEveryTransition(t, seed) }) {
			return
		}
	}
}

func publishesEveryTransition(t *testing.T, seed uint64) {
	t.Helper()
	luck := rand.New(rand.NewPCG(seed, 0))
	w := &world{T: t, luck: luck, begun: true, published: make(map[int64]int), operator: luck.IntN(2) == 0}
	w.other = outbox.New(w, w, w)
	o := outbox.New(w, w, w)
	for range 1 + luck.IntN(60) {
		w.step()
		if w.chance(10) {
			o = outbox.New(w, w, w) // after a crash
		}
		_ = o.Publish(t.Context())
	}
	for i := range slices.Backward(w.running) {
		w.finish(i, i%2 == 0)
	}
	w.healthy = true
	for range 2 { // the first may find that the other replica has moved the position
		if err := o.Publish(t.Context()); err != nil && !errors.Is(err, outbox.ErrMoved) {
			t.Fatal(err)
		}
	}
	for _, c := range w.visible {
		if w.published[c.ID] == 0 {
			t.Errorf("%d is not published", c.ID)
		}
		delete(w.published, c.ID)
	}
	if len(w.published) > 0 {
		t.Errorf("published, and not in the journal: %v", w.published)
	}
	before := len(w.events)
	if err := o.Publish(t.Context()); err != nil || len(w.events) != before || w.position != w.end {
		t.Errorf("then %d events, %v, position %d of %d; want none", len(w.events)-before, err, w.position, w.end)
	}
}

// memory is a journal and a broker without faults.
type memory struct {
	world
	requests int
}

func newMemory(changes ...livefeed.Change) *memory {
	m := &memory{world: world{healthy: true, published: make(map[int64]int)}}
	m.add(changes...)
	return m
}

func (m *memory) add(changes ...livefeed.Change) {
	for _, c := range changes {
		m.end++
		c.ID = m.end
		m.visible = append(m.visible, c)
	}
}

// Publish replaces that of world.
func (m *memory) Publish(_ context.Context, events []outbox.Event) error {
	m.requests++
	m.events = append(m.events, events...)
	return nil
}

func publish(t *testing.T, o *outbox.Outbox) {
	t.Helper()
	if err := o.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestOutboxBeginsAtTheEnd: what happened before it was switched on is not published.
func TestOutboxBeginsAtTheEnd(t *testing.T) {
	m := newMemory(livefeed.Change{OrderID: "before", State: courier.StateWaiting})
	publish(t, outbox.New(m, m, m))
	m.add(livefeed.Change{OrderID: "after", State: courier.StateWaiting})
	publish(t, outbox.New(m, m, m))
	if len(m.events) != 1 || m.events[0].OrderID != "after" {
		t.Errorf("published %v, want after", m.events)
	}
}

// TestOutboxPassesChangesOfCouriers: they are not transitions of an order, and a page of
// them does not end the publishing.
func TestOutboxPassesChangesOfCouriers(t *testing.T) {
	m := newMemory()
	m.begun = true
	for range 6000 {
		m.add(livefeed.Change{CourierID: 1, CourierChange: livefeed.CourierEdited})
	}
	m.add(livefeed.Change{OrderID: "o", State: courier.StateWaiting})
	publish(t, outbox.New(m, m, m))
	if len(m.events) != 1 || m.events[0].OrderID != "o" || m.position != m.end {
		t.Errorf("published %v up to %d of %d, want o", m.events, m.position, m.end)
	}
}

// TestBacklogTakesFewRequests: a page is published at once, with all events of an order.
func TestBacklogTakesFewRequests(t *testing.T) {
	m := newMemory()
	m.begun = true
	for i := range 200 {
		for _, s := range []courier.State{courier.StateWaiting, courier.StateAssigned, courier.StateCompleted} {
			m.add(livefeed.Change{OrderID: courier.OrderID(fmt.Sprint(i)), State: s})
		}
	}
	publish(t, outbox.New(m, m, m))
	if len(m.events) != 600 || m.requests != 1 {
		t.Errorf("%d events in %d calls, want 600 in one", len(m.events), m.requests)
	}
}

// TestOutboxGoesOnInARestoredDatabase: its position was restored with the journal.
func TestOutboxGoesOnInARestoredDatabase(t *testing.T) {
	m := newMemory()
	o := outbox.New(m, m, m)
	publish(t, o)
	m.epoch++
	m.add(livefeed.Change{OrderID: "after", State: courier.StateWaiting})
	if err := o.Publish(t.Context()); !errors.Is(err, livefeed.ErrReplaced) {
		t.Errorf("Publish: %v, want ErrReplaced once", err)
	}
	publish(t, o)
	if len(m.events) != 1 {
		t.Errorf("published %v, want one", m.events)
	}
}

// TestEventOfEachTransition names every transition.
func TestEventOfEachTransition(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := newMemory()
	m.begun = true
	m.add(
		livefeed.Change{OrderID: "a", State: courier.StateWaiting, At: at},
		livefeed.Change{
			OrderID: "a", From: courier.StateWaiting, State: courier.StateAssigned, CourierID: 7, CourierName: "Anna",
			Transport: courier.Car, FirstDeadline: at.Add(time.Minute), CurrentState: courier.StateCompleted,
		},
		livefeed.Change{OrderID: "a", From: courier.StateAssigned, State: courier.StateHeld, Source: "dispatcher:bob", Reason: "flat tyre", CourierID: 7},
		livefeed.Change{OrderID: "a", From: courier.StateHeld, State: courier.StateWaiting},
		livefeed.Change{OrderID: "a", From: courier.StateAssigned, State: courier.StateHeld, Source: "deadline"},
		livefeed.Change{OrderID: "a", From: courier.StateHeld, State: courier.StateAssigned},
		livefeed.Change{OrderID: "a", From: courier.StateSeen, State: courier.StateWaiting},
		livefeed.Change{OrderID: "a", From: courier.StateAssigned, State: courier.StateCompleted},
		livefeed.Change{OrderID: "a", From: courier.StateCompleted, State: courier.StateCancelled},
	)
	publish(t, outbox.New(m, m, m))
	want := []outbox.Event{
		{Type: outbox.TypeQueued, OccurredAt: at},
		{Type: outbox.TypeAssigned, CourierID: 7, Transport: courier.Car, Deadline: at.Add(time.Minute)},
		{Type: outbox.TypeUnassigned, CourierID: 7, Reason: "flat tyre"},
		{Type: outbox.TypeReleased},
		{Type: outbox.TypeExpired},
		{Type: outbox.TypeAssigned},
		{Type: outbox.TypeQueued},
		{Type: outbox.TypeCompleted},
		{Type: outbox.TypeCancelled},
	}
	if diff := gocmp.Diff(want, m.events, cmpopts.IgnoreFields(outbox.Event{}, "OrderID", "Sequence")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if id := m.events[2].ID(); id != "a.3" {
		t.Errorf("the id is %q, want a.3", id)
	}
}
