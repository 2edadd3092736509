package orders_test

import (
	"context"
	"errors"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
)

// desk is a store with one order, and commands that end as they are told to.
type desk struct {
	orders.Store
	order   orders.Order
	refusal error
}

func (d desk) Get(context.Context, courier.OrderID) (orders.Order, error) { return d.order, nil }

func (d desk) Timeline(context.Context, courier.OrderID) ([]orders.Event, error) {
	return []orders.Event{{State: courier.StateWaiting}}, nil
}

func (d desk) Assign(context.Context, courier.OrderID, int64) (orderevent.Assignment, error) {
	return orderevent.Assignment{}, d.refusal
}

func (d desk) Unassign(context.Context, courier.OrderID, string) (int64, error) { return 0, d.refusal }
func (d desk) Release(context.Context, courier.OrderID) error                   { return d.refusal }
func (d desk) Look(context.Context, courier.OrderID) error                      { return d.refusal }

// TestAssignIsSafeToRepeat: what is there already is what was asked for, unless
// another courier was.
func TestAssignIsSafeToRepeat(t *testing.T) {
	seven := orders.Order{OrderID: "a", State: courier.StateAssigned, Delivery: orders.Delivery{CourierID: 7}}
	waits := orders.Order{OrderID: "a", State: courier.StateWaiting}
	taken := courier.ErrAlreadyAssigned
	tests := []struct {
		name      string
		order     orders.Order
		refusal   error
		courierID int64
		want      error
	}{
		{"given", seven, nil, 7, nil},
		{"again", seven, taken, 7, nil},
		{"again, to whoever it is", seven, taken, 0, nil},
		{"to another", seven, taken, 8, taken},
		{"taken from him meanwhile", waits, taken, 0, taken},
		{"refused otherwise", seven, courier.ErrNobodyFree, 7, courier.ErrNobodyFree},
	}
	for _, tt := range tests {
		d := desk{order: tt.order, refusal: tt.refusal}
		got, err := orders.New(d, d).Assign(t.Context(), "a", tt.courierID)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || err == nil && got.Delivery.CourierID != 7 {
			t.Errorf("%s: %+v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestCommandsAnswerTheOrder(t *testing.T) {
	for _, refusal := range []error{nil, courier.ErrNotHeld} {
		d := desk{order: orders.Order{OrderID: "a"}, refusal: refusal}
		o := orders.New(d, d)
		for name, do := range map[string]func() (orders.Order, error){
			"unassign": func() (orders.Order, error) { return o.Unassign(t.Context(), "a", "") },
			"release":  func() (orders.Order, error) { return o.Release(t.Context(), "a") },
			"look":     func() (orders.Order, error) { return o.Look(t.Context(), "a") },
		} {
			got, err := do()
			if !errors.Is(err, refusal) || (got.OrderID == "a") != (refusal == nil) {
				t.Errorf("%s, refusal %v: %+v, %v", name, refusal, got, err)
			}
		}
	}
	order, events, err := orders.New(desk{order: orders.Order{OrderID: "a"}}, nil).Get(t.Context(), "a")
	if order.OrderID != "a" || len(events) != 1 || err != nil {
		t.Errorf("%+v, %v, %v", order, events, err)
	}
}
