package orderevent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"service-courier/internal/courier"
)

// refusingStore refuses every transaction with an order named bad-*.
type refusingStore struct {
	fakeStore
	commits int
}

func (s *refusingStore) InTx(ctx context.Context, fn func(Tx) error) error {
	rows, deadLetters := s.rows, s.deadLetters
	if err := s.fakeStore.InTx(ctx, fn); err != nil {
		return err
	}
	for id := range s.rows {
		if strings.HasPrefix(string(id), "bad") {
			s.rows, s.deadLetters = rows, deadLetters
			return fmt.Errorf("%w: violates check constraint", ErrRefused)
		}
	}
	s.commits++
	return nil
}

// TestSplitRefusesOnlyTheBadOrders: the first order of all is bad, and the dead letter
// saved with it is not lost. It is lost when split stops at an order that has dead letters with it.
func TestSplitRefusesOnlyTheBadOrders(t *testing.T) {
	f := newFixture(make(map[courier.OrderID]string))
	store := &refusingStore{}
	f.store = store
	var batch Batch
	for i := range 500 {
		id := courier.OrderID(fmt.Sprintf("good-%d", i))
		if i%123 == 0 {
			id = courier.OrderID(fmt.Sprintf("bad-%d", i))
		}
		f.service.status[id] = "created"
		batch.Hints = append(batch.Hints, Hint{OrderID: id})
	}
	batch.DeadLetters = []DeadLetter{{Reason: "not_json"}}
	err := f.Reconcile(t.Context(), batch, nil)
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || len(refused.Orders) != 5 {
		t.Fatalf("err = %v, want the 5 bad orders", err)
	}
	for id := range refused.Orders {
		if !strings.HasPrefix(string(id), "bad") {
			t.Errorf("%s was refused", id)
		}
	}
	if len(store.rows) != 495 || len(store.deadLetters) != 1 {
		t.Errorf("%d orders and %d dead letters are saved, want all the others", len(store.rows), len(store.deadLetters))
	}
	if store.commits > 100 {
		t.Errorf("%d transactions for 5 bad orders of 500", store.commits)
	}
}

func TestOutageTakesPrecedenceOverRefusals(t *testing.T) {
	outage := errors.New("connection lost")
	refused := refuse("a", ErrRefused)
	for _, errs := range [][2]error{{outage, refused}, {refused, outage}, {outage, nil}, {nil, outage}} {
		if err := joinRefusals(errs[0], errs[1]); !errors.Is(err, outage) {
			t.Errorf("joinRefusals(%v, %v) = %v, want the outage: something is not saved", errs[0], errs[1], err)
		}
	}
}

// panickingStore panics in LockOrders of one order, at most times times.
type panickingStore struct {
	fakeStore
	order courier.OrderID
	times int
}

func (s *panickingStore) InTx(ctx context.Context, fn func(Tx) error) error {
	return s.fakeStore.InTx(ctx, func(tx Tx) error { return fn(panickingTx{tx, s}) })
}

type panickingTx struct {
	Tx
	s *panickingStore
}

func (tx panickingTx) LockOrders(ctx context.Context, ids []courier.OrderID) (map[courier.OrderID]Order, error) {
	if slices.Contains(ids, tx.s.order) && tx.s.times > 0 {
		tx.s.times--
		panic("fault in the store")
	}
	return tx.Tx.LockOrders(ctx, ids)
}

// TestOrderThatPanicsIsRefusedAlone, wherever it panics: the others are saved, the
// process lives, and the log has the stack. It fails without the recover in fetchOne,
// or in save.
func TestOrderThatPanicsIsRefusedAlone(t *testing.T) {
	for name, sabotage := range map[string]func(*testing.T, *fixture){
		"fetch": func(_ *testing.T, f *fixture) { f.service.panics = map[courier.OrderID]int{"bad": 100} },
		"decide": func(t *testing.T, f *fixture) {
			f.service.status["bad"] = "completed"
			restore := actions[kindCompleted]
			delete(actions, kindCompleted)
			t.Cleanup(func() { actions[kindCompleted] = restore })
		},
		"store": func(_ *testing.T, f *fixture) { f.store = &panickingStore{order: "bad", times: 100} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(map[courier.OrderID]string{"a": "created", "bad": "created", "b": "created", "c": "created"})
			sabotage(t, &f)
			refused, ok := errors.AsType[*RefusedError](f.reconcile(t, "a", "bad", "b", "c"))
			if !ok || len(refused.Orders) != 1 || !errors.Is(refused.Orders["bad"], ErrPanicked) {
				t.Fatalf("refused %v, want the order that panics", refused)
			}
			saved := f.rows
			if store, is := f.store.(*panickingStore); is {
				saved = &store.fakeStore
			}
			if len(saved.rows) != 3 {
				t.Errorf("saved %v, want the other three", saved.rows)
			}
			if f.observed.panics == 0 || !strings.Contains(f.logged.String(), "panic recovered") || !strings.Contains(f.logged.String(), "order_id=bad") ||
				!strings.Contains(f.logged.String(), "goroutine") {
				t.Errorf("%d panics counted, log:\n%s", f.observed.panics, f.logged)
			}
		})
	}
}

// TestTransientPanicRefusesNothing: an order is refused when it fails alone, twice.
func TestTransientPanicRefusesNothing(t *testing.T) {
	f := newFixture(map[courier.OrderID]string{"a": "created"})
	f.service.panics = map[courier.OrderID]int{"a": 1}
	store := &panickingStore{order: "a", times: 1}
	f.store = store
	if err := f.reconcile(t, "a"); err != nil || len(store.rows) != 1 || f.observed.panics != 2 {
		t.Errorf("err = %v, saved %v after %d panics; want the order saved after 2", err, store.rows, f.observed.panics)
	}
}
