package orderevent

import (
	"fmt"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

var kinds = []kind{kindActive, kindCompleted, kindCancelled, kindMissing, kindUnknownStatus, kindUnavailable}

// see makes a sighting whose answer is of kind k.
func see(k kind, s subject) sighting {
	out := sighting{subject: s}
	switch k {
	case kindActive:
		out.answer.Status = "cooking"
	case kindCompleted:
		out.answer.Status = "completed"
	case kindCancelled:
		out.answer.Status = "canceled"
	case kindUnknownStatus:
		out.answer.Status = "refunded"
	case kindMissing:
		out.err = order.ErrNotFound
	case kindUnavailable:
		out.err = fmt.Errorf("%w: refused", order.ErrUnavailable)
	}
	return out
}

func TestFactoryIsComplete(t *testing.T) {
	for _, k := range kinds {
		if actions[k] == nil {
			t.Errorf("kind %d has no action", k)
		}
		if got := see(k, subject{}).kind(); got != k {
			t.Errorf("see(%d).kind() = %d", k, got)
		}
	}
	if len(actions) != len(kinds) {
		t.Errorf("%d actions for %d kinds", len(actions), len(kinds))
	}
}

// hinting is what was said of the order's end before the answer came.
type hinting int

const (
	nobodySaid    hinting = iota
	eventSaid             // this event says cancelled
	storedHint            // an earlier one did, and the record remembers
	saidCompleted         // this event says completed
)

// TestDecideTable is the whole table: record state × answer (status class,
// 404, unavailable) × what events claimed, for a hint from outside on a record
// with no look pending. A cell is the next state, then the look that is
// scheduled, "miss" when the order is marked missing, and "hint" when the
// record goes on remembering that an event said cancelled.
func TestDecideTable(t *testing.T) {
	table := map[hinting]map[courier.State][6]string{
		nobodySaid: { // active, completed, cancelled, 404, unknown status, unavailable
			"":          {"waiting", "completed", "cancelled", "seen missing miss", "seen unknown_status", "seen unavailable"},
			"seen":      {"waiting", "completed", "cancelled", "seen missing miss", "seen unknown_status", "seen unavailable"},
			"waiting":   {"waiting", "completed", "cancelled", "waiting missing miss", "waiting unknown_status", "waiting unavailable"},
			"assigned":  {"assigned", "completed", "cancelled", "assigned missing miss", "assigned unknown_status", "assigned unavailable"},
			"held":      {"held", "completed", "cancelled", "held missing miss", "held unknown_status", "held unavailable"},
			"completed": {"completed", "completed", "cancelled", "completed", "completed unknown_status", "completed unavailable"},
			"cancelled": {"cancelled", "cancelled", "cancelled", "cancelled", "cancelled", "cancelled"},
		},
		eventSaid: {
			"":          {"waiting ahead hint", "completed ahead hint", "cancelled", "cancelled", "seen unknown_status hint", "seen unavailable hint"},
			"seen":      {"waiting ahead hint", "completed ahead hint", "cancelled", "cancelled", "seen unknown_status hint", "seen unavailable hint"},
			"waiting":   {"waiting ahead hint", "completed ahead hint", "cancelled", "cancelled", "waiting unknown_status hint", "waiting unavailable hint"},
			"assigned":  {"assigned ahead hint", "completed ahead hint", "cancelled", "cancelled", "assigned unknown_status hint", "assigned unavailable hint"},
			"held":      {"held ahead hint", "completed ahead hint", "cancelled", "cancelled", "held unknown_status hint", "held unavailable hint"},
			"completed": {"completed ahead hint", "completed ahead hint", "cancelled", "cancelled", "completed unknown_status hint", "completed unavailable hint"},
			"cancelled": {"cancelled", "cancelled", "cancelled", "cancelled", "cancelled", "cancelled"},
		},
		storedHint: {
			"seen":      {"waiting hint", "completed hint", "cancelled", "cancelled", "seen unknown_status hint", "seen unavailable hint"},
			"waiting":   {"waiting hint", "completed hint", "cancelled", "cancelled", "waiting unknown_status hint", "waiting unavailable hint"},
			"assigned":  {"assigned hint", "completed hint", "cancelled", "cancelled", "assigned unknown_status hint", "assigned unavailable hint"},
			"held":      {"held hint", "completed hint", "cancelled", "cancelled", "held unknown_status hint", "held unavailable hint"},
			"completed": {"completed hint", "completed hint", "cancelled", "cancelled", "completed unknown_status hint", "completed unavailable hint"},
		},
		saidCompleted: {
			"":          {"waiting ahead", "completed", "cancelled", "seen missing miss", "seen unknown_status", "seen unavailable"},
			"seen":      {"waiting ahead", "completed", "cancelled", "seen missing miss", "seen unknown_status", "seen unavailable"},
			"waiting":   {"waiting ahead", "completed", "cancelled", "waiting missing miss", "waiting unknown_status", "waiting unavailable"},
			"assigned":  {"assigned ahead", "completed", "cancelled", "assigned missing miss", "assigned unknown_status", "assigned unavailable"},
			"held":      {"held ahead", "completed", "cancelled", "held missing miss", "held unknown_status", "held unavailable"},
			"completed": {"completed", "completed", "cancelled", "completed", "completed unknown_status", "completed unavailable"},
			"cancelled": {"cancelled", "cancelled", "cancelled", "cancelled", "cancelled", "cancelled"},
		},
	}
	cells := 0
	for h, rows := range table {
		for state, row := range rows {
			for i, k := range kinds {
				cells++
				rec := Record{OrderID: "1", State: state}
				s := subject{orderID: "1", fresh: true, said: courier.ClassActive}
				switch h {
				case eventSaid:
					s.said = courier.ClassCancelled
				case storedHint:
					rec.Hinted = courier.ClassCancelled
				case saidCompleted:
					s.said = courier.ClassCompleted
				case nobodySaid:
				}
				d := decide(rec, see(k, s))
				if got := cell(d.next); got != row[i] {
					t.Errorf("hinting %d: %q + kind %d: got %q, want %q", h, state, k, got, row[i])
				}
				if d.next.State != state && !state.CanBecome(d.next.State) {
					t.Errorf("%q became %q against the ladder", state, d.next.State)
				}
				if (d.disposition == Deferred) != (d.next.Look.In > 0) && d.disposition != Applied {
					t.Errorf("hinting %d: %q + kind %d: disposition %s with look %+v", h, state, k, d.disposition, d.next.Look)
				}
			}
		}
	}
	if want := (7 + 7 + 5 + 7) * 6; cells != want {
		t.Fatalf("the table has %d cells, want %d", cells, want)
	}
}

func cell(r Record) string {
	out := string(r.State)
	if r.Look.In > 0 {
		out += " " + string(r.Look.Reason)
	}
	if r.Missing {
		out += " miss"
	}
	if r.Hinted == courier.ClassCancelled {
		out += " hint"
	}
	return out
}
