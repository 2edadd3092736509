package ordersim

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestOrderLife: each status just before and just after its time.
func TestOrderLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &recorder{}
		s := startSim(t, Config{Publisher: events})
		born := time.Now().UTC()
		id := create(t, s)
		stays := []struct {
			status string
			after  time.Duration
		}{
			{"created", time.Second},
			{"pending", 5 * time.Second},
			{"confirmed", 5 * time.Second},
			{"cooking", 5 * time.Minute},
			{"delivering", 10 * time.Minute},
			{"completed", 24 * time.Hour},
		}
		var published []Event
		for _, stay := range stays {
			published = append(published, Event{OrderID: id, Status: stay.status, CreatedAt: time.Now().UTC()})
			pass(stay.after - time.Millisecond)
			if o, _ := s.Order(id); o.Status != stay.status || !o.CreatedAt.Equal(born) {
				t.Fatalf("got %s of %s, want %s", o.Status, o.CreatedAt, stay.status)
			}
			pass(time.Millisecond)
		}
		if diff := cmp.Diff(published, events.all()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestEventTime: the time of publishing in UTC, in seconds.
func TestEventTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &recorder{}
		s := newSim(t, Config{Publisher: events})
		pass(1700 * time.Millisecond)
		create(t, s)
		want := time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC) // synctest starts at 2000
		if got := events.all()[0].CreatedAt; got != want {
			t.Errorf("created_at = %s, want %s", got, want)
		}
	})
}

func TestUpdatedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &recorder{}
		s := startSim(t, Config{Publisher: events})
		id := create(t, s)
		pass(2 * time.Second)
		decode[Order](t, call(s, "PUT", "/order/"+id, "bypass", `{"fio":"x"}`), http.StatusOK)
		pass(time.Hour)
		if diff := cmp.Diff([]string{"created", "pending", "updated"}, events.statuses(id)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeletedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &recorder{}
		s := startSim(t, Config{Publisher: events})
		id := create(t, s)
		if err := s.Delete(id); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if diff := cmp.Diff([]string{"created", "deleted"}, events.statuses(id)); diff != "" {
			t.Error(diff)
		}
		if err := s.Delete(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
	})
}

// TestSetStatusRestartsTimer: the timer of the previous status does nothing. Fails without
// the comparison of records in Sim.step.
func TestSetStatusRestartsTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &recorder{}
		s := startSim(t, Config{Publisher: events})
		id := create(t, s)
		for _, status := range []string{"completed", "confirmed", "whatever", "cooking"} {
			if err := s.SetStatus(id, status); err != nil {
				t.Fatal(err)
			}
		}
		pass(5*time.Minute - time.Millisecond)
		pass(time.Millisecond)
		want := []string{"created", "completed", "confirmed", "whatever", "cooking", "delivering"}
		if diff := cmp.Diff(want, events.statuses(id)); diff != "" {
			t.Error(diff)
		}
		if err := s.SetStatus("unknown", "cooking"); !errors.Is(err, ErrNotFound) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &recorder{}
		s := startSim(t, Config{Publisher: events, Seed: 7})
		first := create(t, s)
		if err := s.Forget(); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if len(s.Truth()) != 0 || len(events.all()) != 1 {
			t.Errorf("orders or events remain: %v %v", s.Truth(), events.all())
		}
		if second := create(t, s); second == first {
			t.Error("an id was used again")
		}
	})
}

// TestManyOrders: each at its own time.
func TestManyOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSim(t, Config{})
		const n = 20_000
		for range n {
			create(t, s)
		}
		pass(20 * time.Minute)
		for id, status := range s.Truth() {
			if status != StatusCompleted {
				t.Fatalf("order %s is %s", id, status)
			}
		}
		if got := len(s.Truth()); got != n {
			t.Errorf("%d orders, want %d", got, n)
		}
	})
}

func TestSteps(t *testing.T) {
	if got := DefaultSteps().life(); got != 15*time.Minute+11*time.Second {
		t.Errorf("life = %s", got)
	}
	fast := DefaultSteps().Faster(60)
	if fast.Cooking != 5*time.Second || fast.Delivering != 10*time.Second {
		t.Errorf("60 times faster: %+v", fast)
	}
	if got := FrozenSteps().Faster(1000); got != FrozenSteps() {
		t.Errorf("frozen steps happen: %+v", got)
	}
	if got := FrozenSteps().life(); got != Never {
		t.Errorf("frozen life = %s", got)
	}
}

func TestFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSim(t, Config{Steps: FrozenSteps()})
		id := create(t, s)
		pass(1000 * time.Hour)
		if got := s.Truth()[id]; got != StatusCreated {
			t.Errorf("status = %s", got)
		}
	})
}
