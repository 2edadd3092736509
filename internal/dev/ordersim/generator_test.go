package ordersim

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// history runs a simulator for a while and returns all its events.
func history(t *testing.T, cfg Config, d time.Duration) (events []Event, truth map[string]string) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		cfg.Publisher = rec
		s := startSim(t, cfg)
		pass(d)
		events, truth = rec.all(), s.Truth()
	})
	return events, truth
}

func TestNoTrafficByDefault(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Addr, cfg.GRPCAddr = "", "" // a listener does not live in a bubble
	if events, _ := history(t, cfg, 24*time.Hour); len(events) != 0 {
		t.Errorf("%d events", len(events))
	}
}

func TestSeedRepeats(t *testing.T) {
	cfg := demo(42)
	events, truth := history(t, cfg, 10*time.Minute)
	again, truthAgain := history(t, cfg, 10*time.Minute)
	if diff := cmp.Diff(events, again); diff != "" {
		t.Errorf("the same seed gave another history:\n%s", diff)
	}
	if diff := cmp.Diff(truth, truthAgain); diff != "" {
		t.Error(diff)
	}
	if other, _ := history(t, demo(43), 10*time.Minute); cmp.Equal(events, other) {
		t.Error("another seed gave the same history")
	}
	if random, _ := history(t, demo(0), 10*time.Minute); cmp.Equal(events, random) {
		t.Error("a random seed gave the history of seed 42")
	}
}

// TestDemo checks the properties of DemoConfig over six hours.
func TestDemo(t *testing.T) {
	const hours = 6
	events, truth := history(t, demo(1), hours*time.Hour)
	if perMinute := float64(len(truth)) / hours / 60; perMinute < 6 || perMinute > 8 {
		t.Errorf("%.1f orders a minute, want one about every 9 s", perMinute)
	}
	born := map[string]time.Time{}
	byOrder := map[string][]string{}
	for _, e := range events {
		if e.Status == StatusCreated {
			born[e.OrderID] = e.CreatedAt
		}
		byOrder[e.OrderID] = append(byOrder[e.OrderID], e.Status)
		life := e.CreatedAt.Sub(born[e.OrderID])
		if e.Status == StatusCompleted && (life < 59*time.Second || life > 91*time.Second) {
			t.Errorf("an order took %s", life)
		}
	}
	way := []string{"created", "pending", "confirmed", "cooking", "delivering", "completed"}
	deleted := 0
	for id, statuses := range byOrder {
		if last := len(statuses) - 1; statuses[last] == StatusDeleted {
			deleted++
			statuses = statuses[:last]
		}
		if !slices.Equal(statuses, way[:len(statuses)]) {
			t.Errorf("order %s had the statuses %v", id, statuses)
		}
	}
	if share := float64(deleted) / float64(len(truth)); share < 0.12 || share > 0.18 {
		t.Errorf("%.0f %% are cancelled", share*100)
	}
	checkLoad(t, events, hours)
}

// checkLoad counts the active orders in each second.
func checkLoad(t *testing.T, events []Event, hours int) {
	t.Helper()
	const couriers = 10
	open, lines, crowded, total := 0, 0, 0, 0
	last := events[0].CreatedAt
	for _, e := range events {
		for ; last.Before(e.CreatedAt); last = last.Add(time.Second) {
			total++
			if open > couriers {
				crowded++
			}
		}
		was := open
		switch e.Status {
		case StatusCreated:
			open++
		case StatusCompleted, StatusDeleted:
			open--
		}
		if was == couriers && open > couriers {
			lines++
		}
	}
	if share := float64(crowded) / float64(total); share < 0.1 || share > 0.35 {
		t.Errorf("%d couriers are not enough in %.0f %% of the time", couriers, share*100)
	}
	if perHour := lines / hours; perHour < 10 {
		t.Errorf("orders wait %d times an hour", perHour)
	}
}

// TestEndedOrdersAreNotCancelled: a planned cancellation does nothing to an ended order.
func TestEndedOrdersAreNotCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSim(t, Config{Steps: FrozenSteps(), Every: time.Second, CancelShare: 1, Seed: 1})
		pass(10 * time.Second)
		var ids []string
		for id, status := range s.Truth() {
			if status != StatusDeleted {
				ids = append(ids, id)
			}
		}
		for i, id := range ids {
			if err := s.SetStatus(id, []string{StatusCompleted, StatusUpdated}[i%2]); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Hour)
		for i, id := range ids {
			if got, want := s.Truth()[id], []string{StatusCompleted, StatusDeleted}[i%2]; got != want {
				t.Errorf("order is %s, want %s", got, want)
			}
		}
	})
}

// TestNoBurstAfterSleep: the generator does not catch up after a sleep of the machine.
func TestNoBurstAfterSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, Config{Seed: 1})
		runs := 0
		s.repeat(time.Now().Add(-time.Hour), func() time.Duration { return 100 * time.Millisecond }, func() { runs++ })
		go s.timers.run()
		s.started = true
		synctest.Wait()
		if runs > 10 {
			t.Errorf("%d runs at once", runs)
		}
	})
}

func TestUniqueIDs(t *testing.T) {
	seen := map[string]bool{}
	for n := range uint64(10_000) {
		for _, stream := range []uint64{streamGenerated, streamAPI} {
			id := newID(newRand(5, stream, n))
			if seen[id] || !uuid.MatchString(id) {
				t.Fatalf("id %d of stream %d is %s", n, stream, id)
			}
			seen[id] = true
		}
	}
}

func demo(seed uint64) Config {
	cfg := DemoConfig()
	cfg.Addr, cfg.GRPCAddr, cfg.Seed = "", "", seed
	return cfg
}
