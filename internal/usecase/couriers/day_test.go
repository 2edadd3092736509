package couriers_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
)

// TestDay: a delivery has its beginning and its end, as far as they lie in the day.
func TestDay(t *testing.T) {
	start := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	at := func(hour int) time.Time { return start.Add(time.Duration(hour) * time.Hour) }
	begins := func(hour int, id courier.OrderID) couriers.Step {
		return couriers.Step{At: at(hour), OrderID: id, Was: courier.StateWaiting, State: courier.StateAssigned, Deadline: at(hour + 1)}
	}
	ends := func(hour int, id courier.OrderID, was, state courier.State) couriers.Step {
		return couriers.Step{At: at(hour), OrderID: id, Was: was, State: state}
	}
	const assigned, held, completed, cancelled = courier.StateAssigned, courier.StateHeld, courier.StateCompleted, courier.StateCancelled
	s := &store{kept: []courier.Courier{{ID: 1}}}
	u := couriers.New(s, phones, nil)
	s.history = couriers.History{Until: at(20), Steps: []couriers.Step{
		ends(1, "before", assigned, completed), ends(2, "older", completed, cancelled),
		begins(3, "again"), ends(4, "again", assigned, held), begins(5, "again"), ends(6, "again", assigned, completed),
		begins(7, "undone"), ends(8, "undone", assigned, completed), begins(9, "open"), ends(10, "undone", completed, cancelled),
	}}
	got, err := u.Day(t.Context(), 1, start)
	want := couriers.Day{Until: at(20), Deliveries: []couriers.Delivery{
		{OrderID: "before", State: completed, To: at(1)},
		{OrderID: "again", State: held, From: at(3), To: at(4), Deadline: at(4)},
		{OrderID: "again", State: completed, From: at(5), To: at(6), Deadline: at(6)},
		{OrderID: "undone", State: cancelled, From: at(7), To: at(8), Deadline: at(8)},
		{OrderID: "open", State: assigned, From: at(9), Deadline: at(10)},
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}

	s.history = couriers.History{Open: couriers.Delivery{OrderID: "open", From: at(-5), Deadline: at(-4)}}
	got, err = u.Day(t.Context(), 1, start)
	want = couriers.Day{Deliveries: []couriers.Delivery{{OrderID: "open", State: assigned, Deadline: at(-4)}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("open for days: %v (-want +got):\n%s", err, diff)
	}
	s.history.Steps = []couriers.Step{ends(1, "open", assigned, completed)} // after it was read
	got, err = u.Day(t.Context(), 1, start)
	want.Deliveries[0].State, want.Deliveries[0].To = completed, at(1)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("ends meanwhile: %v (-want +got):\n%s", err, diff)
	}
	if _, err := u.Day(t.Context(), 2, start); !errors.Is(err, courier.ErrNotFound) {
		t.Errorf("no such courier: %v", err)
	}
}
