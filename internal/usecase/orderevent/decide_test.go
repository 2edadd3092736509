package orderevent

import (
	"fmt"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

var kinds = []kind{kindActive, kindCompleted, kindCancelled, kindMissing, kindUnknownStatus, kindUnavailable}

// observed returns an observation whose answer is of kind k.
func observed(k kind, hint mergedHint) observation {
	out := observation{mergedHint: hint}
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
		if got := observed(k, mergedHint{}).kind(); got != k {
			t.Errorf("observed(%d).kind() = %d", k, got)
		}
	}
	if len(actions) != len(kinds) {
		t.Errorf("%d actions for %d kinds", len(actions), len(kinds))
	}
}

// ending is the end of the order that an event stated before the answer.
type ending int

const (
	noEnding        ending = iota
	statedCancelled        // by this event
	storedCancelled        // by an earlier event: the row has the cancel hint
	statedCompleted        // by this event
)

// TestDecideTable is the whole table: state × answer (status class, 404, unavailable)
// × ending, for an event about an order without a pending recheck. A cell is the next
// state, the reason of the scheduled recheck, "miss" when the order is marked missing,
// and "hint" when the row keeps the cancel hint.
func TestDecideTable(t *testing.T) {
	table := map[ending]map[courier.State][6]string{
		noEnding: { // active, completed, cancelled, 404, unknown status, unavailable
			"":          {"waiting", "completed", "cancelled", "seen missing miss", "seen unknown_status", "seen unavailable"},
			"seen":      {"waiting", "completed", "cancelled", "seen missing miss", "seen unknown_status", "seen unavailable"},
			"waiting":   {"waiting", "completed", "cancelled", "waiting missing miss", "waiting unknown_status", "waiting unavailable"},
			"assigned":  {"assigned", "completed", "cancelled", "assigned missing miss", "assigned unknown_status", "assigned unavailable"},
			"held":      {"held", "completed", "cancelled", "held missing miss", "held unknown_status", "held unavailable"},
			"completed": {"completed", "completed", "cancelled", "completed", "completed unknown_status", "completed unavailable"},
			"cancelled": {"cancelled", "cancelled", "cancelled", "cancelled", "cancelled", "cancelled"},
		},
		statedCancelled: {
			"":          {"waiting ahead hint", "completed ahead hint", "cancelled", "cancelled", "seen unknown_status hint", "seen unavailable hint"},
			"seen":      {"waiting ahead hint", "completed ahead hint", "cancelled", "cancelled", "seen unknown_status hint", "seen unavailable hint"},
			"waiting":   {"waiting ahead hint", "completed ahead hint", "cancelled", "cancelled", "waiting unknown_status hint", "waiting unavailable hint"},
			"assigned":  {"assigned ahead hint", "completed ahead hint", "cancelled", "cancelled", "assigned unknown_status hint", "assigned unavailable hint"},
			"held":      {"held ahead hint", "completed ahead hint", "cancelled", "cancelled", "held unknown_status hint", "held unavailable hint"},
			"completed": {"completed ahead hint", "completed ahead hint", "cancelled", "cancelled", "completed unknown_status hint", "completed unavailable hint"},
			"cancelled": {"cancelled", "cancelled", "cancelled", "cancelled", "cancelled", "cancelled"},
		},
		storedCancelled: {
			"seen":      {"waiting hint", "completed hint", "cancelled", "cancelled", "seen unknown_status hint", "seen unavailable hint"},
			"waiting":   {"waiting hint", "completed hint", "cancelled", "cancelled", "waiting unknown_status hint", "waiting unavailable hint"},
			"assigned":  {"assigned hint", "completed hint", "cancelled", "cancelled", "assigned unknown_status hint", "assigned unavailable hint"},
			"held":      {"held hint", "completed hint", "cancelled", "cancelled", "held unknown_status hint", "held unavailable hint"},
			"completed": {"completed hint", "completed hint", "cancelled", "cancelled", "completed unknown_status hint", "completed unavailable hint"},
		},
		statedCompleted: {
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
	for stated, rows := range table {
		for state, row := range rows {
			for i, k := range kinds {
				cells++
				o := Order{OrderID: "1", State: state}
				hint := mergedHint{orderID: "1", event: true, eventClass: courier.ClassActive}
				switch stated {
				case statedCancelled:
					hint.eventClass = courier.ClassCancelled
				case storedCancelled:
					o.Hinted = courier.ClassCancelled
				case statedCompleted:
					hint.eventClass = courier.ClassCompleted
				case noEnding:
				}
				d := decide(o, observed(k, hint))
				if got := cell(d.next); got != row[i] {
					t.Errorf("ending %d: %q + kind %d: got %q, want %q", stated, state, k, got, row[i])
				}
				if d.next.State != state && !state.CanBecome(d.next.State) {
					t.Errorf("%q became %q against the ladder", state, d.next.State)
				}
				if (d.outcome == Deferred) != (d.next.Recheck.In > 0) && d.outcome != Applied {
					t.Errorf("ending %d: %q + kind %d: outcome %s with recheck %+v", stated, state, k, d.outcome, d.next.Recheck)
				}
			}
		}
	}
	if want := (7 + 7 + 5 + 7) * 6; cells != want {
		t.Fatalf("the table has %d cells, want %d", cells, want)
	}
}

func cell(r Order) string {
	out := string(r.State)
	if r.Recheck.In > 0 {
		out += " " + string(r.Recheck.Reason)
	}
	if r.Missing {
		out += " miss"
	}
	if r.Hinted == courier.ClassCancelled {
		out += " hint"
	}
	return out
}
