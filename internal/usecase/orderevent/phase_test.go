package orderevent

import (
	"errors"
	"slices"
	"testing"

	"service-courier/internal/courier"
)

// TestPhasesAreToldInTurn: also of a transaction that is run again, and of one
// that fails.
func TestPhasesAreToldInTurn(t *testing.T) {
	r := newRig(map[courier.OrderID]string{"a": "created"})
	r.store.reruns = 1
	if err := r.Reconcile(t.Context(), Batch{Hints: []Hint{{OrderID: "a"}, {OrderID: "a"}}}); err != nil {
		t.Fatal(err)
	}
	want := []string{"ask 1 <nil>", "save 1 <nil>", "commit 1 " + errAgain.Error(), "save 1 <nil>", "commit 1 <nil>", "batch 2 <nil>"}
	if !slices.Equal(r.seen.phases, want) {
		t.Errorf("told %q, want %q", r.seen.phases, want)
	}
	if tries := r.seen.outcomes[0].Tries; tries != 2 {
		t.Errorf("%d tries, want 2", tries)
	}
	r.seen.phases, r.store.fail = nil, errors.New("away")
	_ = r.Reconcile(t.Context(), Batch{Hints: []Hint{{OrderID: "a"}}})
	if want := []string{"ask 1 <nil>", "batch 1 away"}; !slices.Equal(r.seen.phases, want) {
		t.Errorf("told %q, want %q", r.seen.phases, want)
	}
}
