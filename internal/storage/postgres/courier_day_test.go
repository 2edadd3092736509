package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/couriers"
)

// TestHistoryOfACourier reads one day of three, whose rows have gaps and times that do not
// quite rise with the ids.
func TestHistoryOfACourier(t *testing.T) {
	f := newFixture(t)
	start := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	read := func(day time.Time, limit int64) couriers.History {
		t.Helper()
		h, err := postgres.HistoryOfCourier(t.Context(), postgres.NewCouriers(f.pool), 7, day, day.AddDate(0, 0, 1), limit)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := read(start, 1000); len(h.Steps) > 0 || h.Open.OrderID != "" || !h.Until.IsZero() {
		t.Errorf("an empty journal: %+v", h)
	}
	// A row a minute, every second one of courier 7, for three days from the 28th on; each
	// third id is missing.
	f.exec(`INSERT INTO journal (at, order_id, was, state, courier_id, source)
		SELECT '2026-11-28Z'::timestamptz + i * interval '1 min' + (i % 3) * interval '10 s', 'o-' || i, 'waiting', 'assigned', 7 - i % 2, 'match'
		FROM generate_series(0, 3 * 1440 - 1) i`)
	f.exec(`DELETE FROM journal WHERE id % 3 = 0`)
	f.exec(`INSERT INTO journal (at, courier_id, courier_change, source) VALUES ('2026-11-30 23:59:59Z', 7, 'edited', 'dispatcher')`)
	f.exec(`INSERT INTO courier_orders (order_id, courier_id, assigned_at, deadline) VALUES ('o-open', 7, '2026-11-28Z', '2026-11-28Z')`)
	for day := range 3 {
		from := start.AddDate(0, 0, day-1)
		var want []courier.OrderID
		for i := day * 1440; i < (day+1)*1440; i++ {
			if i%2 == 0 && (i+1)%3 != 0 {
				want = append(want, courier.OrderID(fmt.Sprintf("o-%d", i)))
			}
		}
		h := read(from, 5000)
		got := make([]courier.OrderID, len(h.Steps))
		for i, s := range h.Steps {
			got[i] = s.OrderID
		}
		if !slices.Equal(got, want) || !h.Until.IsZero() || h.Open.OrderID != "o-open" {
			t.Errorf("day %d: %d steps, want %d; until %s, open %q", day, len(got), len(want), h.Until, h.Open.OrderID)
		}
	}
	h := read(start, 600)
	if last := h.Steps[len(h.Steps)-1].At; h.Until.Before(start.Add(9*time.Hour)) || h.Until.After(start.Add(11*time.Hour)) || last.After(h.Until) {
		t.Errorf("of 600 ids, the last is of %s, until %s", last, h.Until)
	}
	for _, day := range []int{-9, 9} {
		if h := read(start.AddDate(0, 0, day), 5000); len(h.Steps) > 0 || !h.Until.IsZero() {
			t.Errorf("day %d: %+v", day, h)
		}
	}
}
