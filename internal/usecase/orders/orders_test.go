package orders_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
)

// world is one order, its storage, and the transaction that a command gets.
type world struct {
	orderevent.Tx
	orders.Store
	state     courier.State
	read      orders.Order // what Get returns
	missing   bool
	fetchErr  error
	assignErr error
	overdue   bool
	place     orders.QueuePlace
	sources   []string
	changes   []orderevent.Change
	committed bool
}

func (w *world) Execute(ctx context.Context, id courier.OrderID, source string, command orderevent.Command) error {
	if w.fetchErr != nil {
		return w.fetchErr
	}
	w.sources = append(w.sources, source)
	_, err := command(ctx, w, orderevent.Order{OrderID: id, State: w.state}, w.missing)
	w.committed = err == nil
	return err
}

func (w *world) Assign(_ context.Context, id courier.OrderID, courierID int64, source string) (orderevent.Assignment, error) {
	w.sources = append(w.sources, source)
	return orderevent.Assignment{OrderID: id, CourierID: max(courierID, 7)}, w.assignErr
}

func (w *world) Overdue(context.Context, courier.OrderID) (bool, error) { return w.overdue, nil }

func (w *world) Save(_ context.Context, changes []orderevent.Change) (orderevent.Effects, error) {
	w.changes = changes
	w.sources = append(w.sources, changes[0].Source)
	return orderevent.Effects{Transitions: []orderevent.Transition{{CourierID: 7}}}, nil
}

func (w *world) Get(context.Context, courier.OrderID) (orders.Order, error) { return w.read, nil }

func (w *world) QueuePlace(context.Context, courier.OrderID) (orders.QueuePlace, error) {
	return w.place, nil
}

// run executes a command by its name.
func (w *world) run(ctx context.Context, command string) (err error) {
	o := orders.New(w, w)
	switch command {
	case "assign":
		_, err = o.Assign(ctx, "a", 0)
	case "unassign":
		_, err = o.Unassign(ctx, "a", "")
	case "recheck":
		_, err = o.Recheck(ctx, "a")
	case "cancel":
		err = o.Cancel(ctx, "a", "")
	case "release":
		err = o.Release(ctx, "a")
	}
	return err
}

// TestCommandsInEveryState runs every command in every state of an order, known to
// service-order and missing there. A refusal keeps the answer of service-order.
func TestCommandsInEveryState(t *testing.T) {
	var (
		ended       = courier.ErrOrderEnded
		noSuchOrder = courier.ErrNoSuchOrder
		unknown     = courier.ErrStatusUnknown
		notAssigned = courier.ErrNotAssigned
		notHeld     = courier.ErrNotHeld
		notMissing  = courier.ErrNotMissing
	)
	type results [2]error // service-order knows the order; it does not
	want := map[string]map[courier.State]results{
		"assign": {
			courier.StateNone: {unknown, noSuchOrder}, courier.StateSeen: {unknown, noSuchOrder},
			courier.StateWaiting: {nil, noSuchOrder}, courier.StateHeld: {nil, noSuchOrder},
			courier.StateAssigned:  {courier.ErrAlreadyAssigned, courier.ErrAlreadyAssigned},
			courier.StateCompleted: {ended, ended}, courier.StateCancelled: {ended, ended},
		},
		"unassign": {
			courier.StateNone: {notAssigned, noSuchOrder}, courier.StateSeen: {notAssigned, noSuchOrder},
			courier.StateWaiting: {notAssigned, notAssigned},
			courier.StateHeld:    {notAssigned, notAssigned}, courier.StateAssigned: {nil, nil},
			courier.StateCompleted: {notAssigned, notAssigned}, courier.StateCancelled: {notAssigned, notAssigned},
		},
		"recheck": {
			courier.StateNone: {nil, noSuchOrder}, courier.StateSeen: {nil, noSuchOrder}, courier.StateWaiting: {nil, nil},
			courier.StateHeld: {nil, nil}, courier.StateAssigned: {nil, nil},
			courier.StateCompleted: {nil, nil}, courier.StateCancelled: {nil, nil},
		},
		"cancel": {
			courier.StateNone: {notMissing, noSuchOrder}, courier.StateSeen: {notMissing, noSuchOrder}, courier.StateWaiting: {notMissing, nil},
			courier.StateHeld: {notMissing, nil}, courier.StateAssigned: {notMissing, nil},
			courier.StateCompleted: {notMissing, ended}, courier.StateCancelled: {nil, nil},
		},
		"release": {
			courier.StateNone: {notHeld, noSuchOrder}, courier.StateSeen: {notHeld, noSuchOrder}, courier.StateWaiting: {notHeld, notHeld},
			courier.StateHeld: {nil, noSuchOrder}, courier.StateAssigned: {notHeld, notHeld},
			courier.StateCompleted: {notHeld, notHeld}, courier.StateCancelled: {notHeld, notHeld},
		},
	}
	for command, states := range want {
		for _, state := range courier.States() {
			for i, missing := range []bool{false, true} {
				w := &world{state: state, missing: missing}
				if err := w.run(t.Context(), command); !errors.Is(err, states[state][i]) || (err == nil) != (states[state][i] == nil) {
					t.Errorf("%s, %q, missing %t: err = %v, want %v", command, state, missing, err, states[state][i])
				}
				if !w.committed {
					t.Errorf("%s, %q, missing %t: the answer of service-order was rolled back", command, state, missing)
				}
			}
		}
	}
}

// TestSourceNamesTheDispatcher: the journal has the caller's name, where the API asks for one.
func TestSourceNamesTheDispatcher(t *testing.T) {
	named := courier.WithActor(t.Context(), "anna")
	for command, state := range map[string]courier.State{
		"assign": courier.StateWaiting, "unassign": courier.StateAssigned, "release": courier.StateHeld, "recheck": courier.StateWaiting,
	} {
		for want, ctx := range map[string]context.Context{"dispatcher": t.Context(), "dispatcher:anna": named} {
			w := &world{state: state}
			if err := w.run(ctx, command); err != nil {
				t.Errorf("%s: %v", command, err)
			}
			for _, source := range w.sources {
				if source != want {
					t.Errorf("%s: sources %q, want %q", command, w.sources, want)
				}
			}
		}
	}
}

// TestEnsureAssignedIsSafeToRepeat: an order that is assigned as requested is no
// error; one that another courier has is.
func TestEnsureAssignedIsSafeToRepeat(t *testing.T) {
	seven := orders.Order{OrderID: "a", State: courier.StateAssigned, Delivery: orders.Delivery{CourierID: 7}}
	waiting := orders.Order{OrderID: "a", State: courier.StateWaiting}
	tests := []struct {
		name      string
		state     courier.State
		read      orders.Order
		assignErr error
		courierID int64
		want      error
	}{
		{"assigned", courier.StateWaiting, seven, nil, 7, nil},
		{"repeated", courier.StateAssigned, seven, nil, 7, nil},
		{"repeated with any courier", courier.StateAssigned, seven, nil, 0, nil},
		{"another courier", courier.StateAssigned, seven, nil, 8, courier.Explain(courier.ErrAlreadyAssigned, "courier 7")},
		{"unassigned meanwhile", courier.StateAssigned, waiting, nil, 0, courier.ErrAlreadyAssigned},
		{"refused otherwise", courier.StateWaiting, seven, courier.ErrNoCourierAvailable, 7, courier.ErrNoCourierAvailable},
	}
	for _, tt := range tests {
		w := &world{state: tt.state, read: tt.read, assignErr: tt.assignErr}
		got, err := orders.New(w, w).EnsureAssigned(t.Context(), "a", tt.courierID)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || err == nil && got.Delivery.CourierID != 7 {
			t.Errorf("%s: %+v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestUnassignHoldsWithItsReason(t *testing.T) {
	for given, kept := range map[string]string{"the scooter broke down": "the scooter broke down", "": "unassigned by a dispatcher"} {
		w := &world{state: courier.StateAssigned}
		id, err := orders.New(w, w).Unassign(t.Context(), "a", given)
		if err != nil || id != 7 {
			t.Errorf("Unassign = %d, %v; want courier 7", id, err)
		}
		if len(w.changes) != 1 || w.changes[0].Next.State != courier.StateHeld || w.changes[0].Reason != kept {
			t.Errorf("saved %+v, want held because %q", w.changes, kept)
		}
	}
}

func TestCancelLeavesATombstone(t *testing.T) {
	for given, kept := range map[string]string{"cancelled by phone": "cancelled by phone", "": "cancelled by a dispatcher"} {
		w := &world{state: courier.StateAssigned, missing: true}
		if err := orders.New(w, w).Cancel(courier.WithActor(t.Context(), "anna"), "a", given); err != nil {
			t.Error(err)
		}
		want := []orderevent.Change{{
			From: courier.StateAssigned, Next: orderevent.Order{OrderID: "a", State: courier.StateCancelled}, Reason: kept, Source: "dispatcher:anna",
		}}
		if diff := cmp.Diff(want, w.changes); diff != "" {
			t.Errorf("saved (-want +got):\n%s", diff)
		}
	}
}

func TestRecheckReportsTheAnswer(t *testing.T) {
	for _, missing := range []bool{false, true} {
		w := &world{state: courier.StateWaiting, missing: missing}
		if found, err := orders.New(w, w).Recheck(t.Context(), "a"); err != nil || found == missing {
			t.Errorf("missing %t: found %t, %v", missing, found, err)
		}
	}
}

// TestWhyNoCourier has a row for each cause.
func TestWhyNoCourier(t *testing.T) {
	at := time.Unix(1700000000, 0)
	held := []orders.TimelineEntry{
		{State: courier.StateHeld, Source: "deadline"},
		{State: courier.StateWaiting, Source: "dispatcher"},
		{State: courier.StateHeld, Source: "dispatcher:anna", At: at},
	}
	for name, tt := range map[string]struct {
		order orders.Order
		place orders.QueuePlace
		want  *orders.NoCourier
		text  string
	}{
		"seen": {
			orders.Order{State: courier.StateSeen},
			orders.QueuePlace{},
			&orders.NoCourier{Cause: orders.CauseStatusUnknown}, "no known status",
		},
		"seen and missing": { // no recheck has found it
			orders.Order{State: courier.StateSeen, MissingSince: at},
			orders.QueuePlace{},
			&orders.NoCourier{Cause: orders.CauseNotFound}, "never active here",
		},
		"held": {
			orders.Order{State: courier.StateHeld, HeldReason: "ill"},
			orders.QueuePlace{Before: 3, FreeCouriers: 1},
			&orders.NoCourier{QueuePlace: orders.QueuePlace{FreeCouriers: 1}, Cause: orders.CauseHeld, HeldBy: "dispatcher:anna", HeldSince: at}, "on hold",
		},
		"held and missing": { // no command but cancel succeeds
			orders.Order{State: courier.StateHeld, MissingSince: at},
			orders.QueuePlace{Before: 3, FreeCouriers: 1},
			&orders.NoCourier{QueuePlace: orders.QueuePlace{FreeCouriers: 1}, Cause: orders.CauseHeldMissing, HeldBy: "dispatcher:anna", HeldSince: at},
			"the order is on hold, and service-order does not have it: recheck or cancel it",
		},
		"missing": {
			orders.Order{State: courier.StateWaiting, MissingSince: at},
			orders.QueuePlace{FreeCouriers: 1},
			&orders.NoCourier{QueuePlace: orders.QueuePlace{FreeCouriers: 1}, Cause: orders.CauseMissing, Position: 1}, "does not have the order",
		},
		"no courier": {
			orders.Order{State: courier.StateWaiting},
			orders.QueuePlace{Before: 3, BeforeMissing: 1, FreeCouriers: 2},
			&orders.NoCourier{QueuePlace: orders.QueuePlace{Before: 3, BeforeMissing: 1, FreeCouriers: 2}, Cause: orders.CauseNoFreeCourier, Position: 4},
			"position 4 of the waiting queue; free couriers: 2, orders before it: 3, of them missing: 1",
		},
		"queued": {
			orders.Order{State: courier.StateWaiting},
			orders.QueuePlace{Before: 3, BeforeMissing: 2, FreeCouriers: 2},
			&orders.NoCourier{QueuePlace: orders.QueuePlace{Before: 3, BeforeMissing: 2, FreeCouriers: 2}, Cause: orders.CauseQueued, Position: 4},
			"within a second",
		},
		"assigned":  {order: orders.Order{State: courier.StateAssigned}},
		"completed": {order: orders.Order{State: courier.StateCompleted}},
	} {
		w := &world{place: tt.place}
		got, err := orders.New(w, w).WhyNoCourier(t.Context(), tt.order, held)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		if got != nil && !strings.Contains(got.String(), tt.text) {
			t.Errorf("%s: %q, want %q", name, got, tt.text)
		}
	}
}

// TestExpireOnlyOverdueDeliveries: an order that service-order calls completed is
// not held, however overdue it was.
func TestExpireOnlyOverdueDeliveries(t *testing.T) {
	for _, state := range courier.States() {
		for _, overdue := range []bool{false, true} {
			w := &world{state: state, overdue: overdue}
			expired, err := orders.New(w, w).Expire(t.Context(), "a")
			if want := overdue && state == courier.StateAssigned; err != nil || expired != want || (len(w.changes) == 1) != want {
				t.Errorf("%q, overdue %t: expired %t, saved %+v, %v", state, overdue, expired, w.changes, err)
			}
		}
	}
}

// TestOnlyRefusalsCommit: any other error rolls the transaction back.
func TestOnlyRefusalsCommit(t *testing.T) {
	broken := errors.New("broken")
	w := &world{state: courier.StateWaiting, assignErr: broken}
	if err := w.run(t.Context(), "assign"); !errors.Is(err, broken) || w.committed {
		t.Errorf("err = %v, committed %t; want broken and rolled back", err, w.committed)
	}
	w = &world{state: courier.StateWaiting, assignErr: courier.ErrNoCourierAvailable}
	if err := w.run(t.Context(), "assign"); !errors.Is(err, courier.ErrNoCourierAvailable) || !w.committed {
		t.Errorf("err = %v, committed %t; want ErrNoCourierAvailable, and the order in the queue", err, w.committed)
	}
	w = &world{fetchErr: courier.ErrOrdersUnavailable}
	if err := w.run(t.Context(), "release"); !errors.Is(err, courier.ErrOrdersUnavailable) {
		t.Errorf("err = %v, want ErrOrdersUnavailable", err)
	}
}
