package postgres_test

import (
	"slices"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

func TestResyncStoresProgress(t *testing.T) {
	f := newFixture(t)
	s := postgres.NewResync(f.pool)
	until, now, err := s.Begin(t.Context())
	if err != nil || !until.IsZero() || now.IsZero() {
		t.Fatalf("Begin = %v, %v, %v; want never resynced", until, now, err)
	}
	for _, at := range []time.Time{now, now.Add(-time.Hour)} { // never back
		if err := s.Finish(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	if until, _, err = s.Begin(t.Context()); err != nil || !until.Equal(now) {
		t.Errorf("resynced until %v, %v; want %v", until, err, now)
	}
}

func TestBehindAndOpen(t *testing.T) {
	f := newFixture(t)
	s := postgres.NewResync(f.pool)
	recheck := orderevent.Recheck{Reason: orderevent.ReasonMissing, Count: 1, In: time.Hour}
	f.save(
		orderevent.Order{OrderID: "seen", State: courier.StateSeen, Recheck: recheck}, to("waiting", courier.StateWaiting),
		to("completed", courier.StateCompleted), to("cancelled", courier.StateCancelled),
		orderevent.Order{OrderID: "missing", State: courier.StateWaiting, Missing: true},
	)
	behind, err := s.Behind(t.Context(), map[courier.OrderID]courier.Class{
		"new": courier.ClassActive, "seen": courier.ClassActive, "waiting": courier.ClassCompleted, "missing": courier.ClassActive,
		"completed": courier.ClassActive, "cancelled": courier.ClassCompleted, "odd": courier.ClassUnknown,
	})
	slices.Sort(behind)
	if want := []courier.OrderID{"new", "odd", "seen", "waiting"}; err != nil || !slices.Equal(behind, want) {
		t.Errorf("behind %v, %v; want %v", behind, err, want)
	}
	var open []courier.OrderID
	for page, err := s.ActivePage(t.Context(), "", 1); len(page) > 0 && err == nil; page, err = s.ActivePage(t.Context(), page[0], 1) {
		open = append(open, page...)
	}
	if want := []courier.OrderID{"missing", "waiting"}; !slices.Equal(open, want) {
		t.Errorf("open %v, want %v", open, want)
	}
}
