package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/livefeed"
)

// TestCourierChangesAreInTheJournal: each change of a courier through the API has its place
// among those of the orders, with who made it; one that changes nothing, or is refused, has
// none.
func TestCourierChangesAreInTheJournal(t *testing.T) {
	f := newFixture(t)
	store, r := postgres.NewCouriers(f.pool), f.reader()
	anna := courier.WithActor(f.Context(), "anna")
	id, err := store.Insert(anna, boris)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = store.Insert(anna, boris) // the phone is registered
	edit := func(change func(*courier.Courier)) {
		t.Helper()
		if _, err := f.change(id, change); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(c *courier.Courier) { c.Name = "Boris B" })
	edit(func(*courier.Courier) {})
	f.save(to("o", courier.StateWaiting))
	f.match(1)
	edit(func(c *courier.Courier) { c.PauseAfter = true })
	edit(func(c *courier.Courier) { c.PauseAfter = false })
	edit(func(c *courier.Courier) { c.PauseAfter = true })
	f.save(to("o", courier.StateCompleted))
	edit(func(c *courier.Courier) { c.Status = courier.StatusAvailable })
	if err := store.Delete(anna, id, func(courier.Courier) error { return nil }); err != nil {
		t.Fatal(err)
	}
	var got []string
	var last livefeed.Change
	if err := r.Read(f.Context(), 0, func(c livefeed.Change) {
		last = c
		got = append(got, fmt.Sprintf("%s%s %s", c.State, c.CourierChange, c.Source))
	}); err != nil {
		t.Fatal(err)
	}
	want := "registered dispatcher:anna, edited dispatcher, waiting 0@1, assigned match, paused dispatcher, resumed dispatcher, paused dispatcher, completed 0@1, resumed dispatcher, deleted dispatcher:anna"
	if strings.Join(got, ", ") != want {
		t.Errorf("the journal has\n%s, want\n%s", strings.Join(got, ", "), want)
	}
	if last.OrderID != "" || last.CourierID != id || last.CourierName != "Boris B" || last.CourierPhone != boris.Phone ||
		last.CourierStatus != courier.StatusPaused || last.Transport != boris.Transport || last.Deliveries != 1 {
		t.Errorf("the last change: %+v", last)
	}
	if page, err := store.Page(f.Context(), couriers.Filter{}, 0, 1); len(page) != 0 || err != nil {
		t.Errorf("deleted: %v, %v", page, err)
	}
	f.expectNoViolations()
}

// TestRetentionRemovesCourierChanges: rows of couriers age as those of orders do.
func TestRetentionRemovesCourierChanges(t *testing.T) {
	f := newFixture(t)
	if _, err := postgres.NewCouriers(f.pool).Insert(f.Context(), boris); err != nil {
		t.Fatal(err)
	}
	f.exec("UPDATE journal SET at = now() - interval '3 days'")
	rows, orders, err := postgres.NewRetention(f.pool, false).Remove(f.Context(), 48*time.Hour, 10)
	if rows != 1 || orders != 0 || err != nil {
		t.Errorf("removed %d rows and %d orders, %v; want 1 row", rows, orders, err)
	}
	f.expect("1", "SELECT count(*) FROM couriers")
}
