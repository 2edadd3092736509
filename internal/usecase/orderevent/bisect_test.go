package orderevent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"service-courier/internal/courier"
)

// picky is a memory that refuses every transaction with an order named bad-*.
type picky struct {
	memory
	commits int
}

func (p *picky) InTx(ctx context.Context, fn func(Tx) error) error {
	records, letters := p.records, p.letters
	if err := p.memory.InTx(ctx, fn); err != nil {
		return err
	}
	for id := range p.records {
		if strings.HasPrefix(string(id), "bad") {
			p.records, p.letters = records, letters
			return fmt.Errorf("%w: violates check constraint", ErrRefused)
		}
	}
	p.commits++
	return nil
}

// TestOnlyTheBadOnesAreRefused: the first order of all is bad, and the letter that is
// saved with it is not lost. It is when bisect stops at one order, letters or not.
func TestOnlyTheBadOnesAreRefused(t *testing.T) {
	r := newRig(make(map[courier.OrderID]string))
	store := &picky{}
	r.Reconciler.store = store
	var batch Batch
	for i := range 500 {
		id := courier.OrderID(fmt.Sprintf("good-%d", i))
		if i%123 == 0 {
			id = courier.OrderID(fmt.Sprintf("bad-%d", i))
		}
		r.client.status[id] = "created"
		batch.Hints = append(batch.Hints, Hint{OrderID: id})
	}
	batch.Letters = []DeadLetter{{Reason: "not_json"}}
	err := r.Reconcile(t.Context(), batch)
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || len(refused.Orders) != 5 {
		t.Fatalf("err = %v, want the 5 bad orders", err)
	}
	for id := range refused.Orders {
		if !strings.HasPrefix(string(id), "bad") {
			t.Errorf("%s was refused", id)
		}
	}
	if len(store.records) != 495 || len(store.letters) != 1 {
		t.Errorf("%d orders and %d letters are saved, want all the others and the letter", len(store.records), len(store.letters))
	}
	if store.commits > 100 {
		t.Errorf("%d transactions for 5 bad orders of 500", store.commits)
	}
}

func TestBisectStopsAtAnOutage(t *testing.T) {
	away := errors.New("connection lost")
	refused := &RefusedError{map[courier.OrderID]error{"a": ErrRefused}}
	for _, errs := range [][2]error{{away, refused}, {refused, away}, {away, nil}, {nil, away}} {
		if err := join(errs[0], errs[1]); !errors.Is(err, away) {
			t.Errorf("join(%v, %v) = %v, want the outage: something is not saved", errs[0], errs[1], err)
		}
	}
}
