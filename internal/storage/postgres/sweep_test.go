package postgres_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// TestSweepHasOneLeader, whose lock is free again afterwards. It fails without the
// unlock in lead. (To lead once more says nothing: the pool may give out the very
// connection that has the lock.)
func TestSweepHasOneLeader(t *testing.T) {
	f := newFixture(t)
	s := postgres.NewSweep(f.pool)
	led, err := s.Lead(t.Context(), func(ctx context.Context) error {
		if other, err := s.Lead(ctx, func(context.Context) error { return nil }); err != nil || other {
			t.Errorf("a second leader: %t, %v", other, err)
		}
		return nil
	})
	if err != nil || !led {
		t.Errorf("Lead = %t, %v; want true", led, err)
	}
	f.expect("0", `SELECT count(*) FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
}

func TestSweepRemembersHowFarItCame(t *testing.T) {
	f := newFixture(t)
	s := postgres.NewSweep(f.pool)
	until, now, err := s.Begin(t.Context())
	if err != nil || !until.IsZero() || now.IsZero() {
		t.Fatalf("Begin = %v, %v, %v; want never swept", until, now, err)
	}
	for _, at := range []time.Time{now, now.Add(-time.Hour)} { // never back
		if err := s.Finish(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	if until, _, err = s.Begin(t.Context()); err != nil || !until.Equal(now) {
		t.Errorf("swept until %v, %v; want %v", until, err, now)
	}
}

func TestBehindAndOpen(t *testing.T) {
	f := newFixture(t)
	s := postgres.NewSweep(f.pool)
	look := orderevent.Look{Reason: orderevent.ReasonMissing, Count: 1, In: time.Hour}
	f.save(
		orderevent.Record{OrderID: "seen", State: courier.StateSeen, Look: look}, to("waiting", courier.StateWaiting),
		to("completed", courier.StateCompleted), to("cancelled", courier.StateCancelled),
		orderevent.Record{OrderID: "missing", State: courier.StateWaiting, Missing: true},
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
	for page, err := s.Open(t.Context(), "", 1); len(page) > 0 && err == nil; page, err = s.Open(t.Context(), page[0], 1) {
		open = append(open, page...)
	}
	if want := []courier.OrderID{"missing", "waiting"}; !slices.Equal(open, want) {
		t.Errorf("open %v, want %v", open, want)
	}
}
