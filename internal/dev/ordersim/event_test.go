package ordersim

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestEventShape(t *testing.T) {
	e := Event{OrderID: "123", Status: "created", CreatedAt: time.Date(2025, 8, 6, 12, 0, 0, 0, time.UTC)}
	got, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"order_id":"123","status":"created","created_at":"2025-08-06T12:00:00Z"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMuteAndEmit(t *testing.T) {
	events := &recorder{}
	s := newSim(t, Config{Publisher: events, LostShare: 1})
	id := create(t, s) // lost
	s.Emit(id, "forged")
	s.Mute(true)
	s.Emit(id, "again")
	if got := events.statuses(id); !slices.Equal(got, []string{"forged", "again"}) {
		t.Errorf("got %v", got)
	}
	s = newSim(t, Config{Publisher: events})
	s.Mute(true)
	lost := create(t, s)
	s.Mute(false)
	if err := s.Delete(lost); err != nil {
		t.Fatal(err)
	}
	if got := events.statuses(lost); !slices.Equal(got, []string{"deleted"}) {
		t.Errorf("got %v", got)
	}
}

// TestLostAndDuplicateEvents: the shares hold roughly, and exactly with the same seed.
func TestLostAndDuplicateEvents(t *testing.T) {
	const n = 2000
	run := func() (lost, duplicates int) {
		events := &recorder{}
		s := newSim(t, Config{Publisher: events, LostShare: 0.2, DuplicateShare: 0.1, Seed: 3})
		for range n {
			create(t, s)
		}
		seen := map[string]int{}
		for _, e := range events.all() {
			seen[e.OrderID]++
		}
		for _, times := range seen {
			duplicates += times - 1
		}
		return n - len(seen), duplicates
	}
	lost, duplicates := run()
	if lost < 320 || lost > 480 || duplicates < 100 || duplicates > 220 {
		t.Errorf("lost %d, duplicate %d of %d", lost, duplicates, n)
	}
	if lost2, duplicates2 := run(); lost2 != lost || duplicates2 != duplicates {
		t.Errorf("the same seed: lost %d then %d, duplicate %d then %d", lost, lost2, duplicates, duplicates2)
	}
}

// TestPublishDelay: late events have the time of publishing and overtake each other.
func TestPublishDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &recorder{}
		s := startSim(t, Config{Publisher: events, PublishDelay: 10 * time.Second, Steps: FrozenSteps(), Seed: 1})
		var ids []string
		for range 50 {
			ids = append(ids, create(t, s))
		}
		if len(events.all()) != 0 {
			t.Fatal("an event was not late")
		}
		pass(10 * time.Second)
		var order []string
		seconds := map[time.Time]bool{}
		for _, e := range events.all() {
			order = append(order, e.OrderID)
			seconds[e.CreatedAt] = true
		}
		if len(order) != 50 || slices.Equal(order, ids) || len(seconds) < 8 {
			t.Errorf("%d events in %d different seconds, order kept: %t", len(order), len(seconds), slices.Equal(order, ids))
		}
	})
}
