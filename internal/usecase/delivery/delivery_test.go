package delivery_test

import (
	"context"
	"errors"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/delivery"
	"service-courier/internal/usecase/orderevent"
)

// world is one order as it stands, and the transaction that a command gets.
type world struct {
	orderevent.Tx
	state     courier.State
	missing   bool
	asked     error // what asking service-order ends in
	assign    error
	late      bool
	changes   []orderevent.Change
	committed bool
}

func (w *world) Converge(ctx context.Context, id courier.OrderID, _ string, command orderevent.Command) error {
	if w.asked != nil {
		return w.asked
	}
	_, err := command(ctx, w, orderevent.Record{OrderID: id, State: w.state}, w.missing)
	w.committed = err == nil
	return err
}

func (w *world) Assign(_ context.Context, id courier.OrderID, courierID int64, _ string) (orderevent.Assignment, error) {
	return orderevent.Assignment{OrderID: id, CourierID: max(courierID, 7)}, w.assign
}

func (w *world) Overdue(context.Context, courier.OrderID) (bool, error) { return w.late, nil }

func (w *world) Save(_ context.Context, changes []orderevent.Change, _ []orderevent.DeadLetter) (orderevent.Saved, error) {
	w.changes = changes
	return orderevent.Saved{Transitions: []orderevent.Transition{{CourierID: 7}}}, nil
}

// TestWhatIsAllowed walks every command over every state of an order, with
// service-order knowing it and not.
func TestWhatIsAllowed(t *testing.T) {
	var (
		ended   = courier.ErrOrderEnded
		none    = courier.ErrNoSuchOrder
		unknown = courier.ErrStatusUnknown
		idle    = courier.ErrNotAssigned
		notHeld = courier.ErrNotHeld
	)
	type answers [2]error // service-order knows the order; it does not
	want := map[string]map[courier.State]answers{
		"assign": {
			courier.StateNone: {unknown, none}, courier.StateSeen: {unknown, none},
			courier.StateWaiting: {nil, none}, courier.StateHeld: {nil, none},
			courier.StateAssigned:  {courier.ErrAlreadyAssigned, courier.ErrAlreadyAssigned},
			courier.StateCompleted: {ended, ended}, courier.StateCancelled: {ended, ended},
		},
		"unassign": {
			courier.StateNone: {idle, none}, courier.StateSeen: {idle, none}, courier.StateWaiting: {idle, idle},
			courier.StateHeld: {idle, idle}, courier.StateAssigned: {nil, nil},
			courier.StateCompleted: {idle, idle}, courier.StateCancelled: {idle, idle},
		},
		"look": {
			courier.StateNone: {nil, none}, courier.StateSeen: {nil, none}, courier.StateWaiting: {nil, nil},
			courier.StateHeld: {nil, nil}, courier.StateAssigned: {nil, nil},
			courier.StateCompleted: {nil, nil}, courier.StateCancelled: {nil, nil},
		},
		"release": {
			courier.StateNone: {notHeld, none}, courier.StateSeen: {notHeld, none}, courier.StateWaiting: {notHeld, notHeld},
			courier.StateHeld: {nil, none}, courier.StateAssigned: {notHeld, notHeld},
			courier.StateCompleted: {notHeld, notHeld}, courier.StateCancelled: {notHeld, notHeld},
		},
	}
	for command, states := range want {
		for _, state := range courier.States() {
			for i, missing := range []bool{false, true} {
				w := &world{state: state, missing: missing}
				if err := run(t, w, command); !errors.Is(err, states[state][i]) || (err == nil) != (states[state][i] == nil) {
					t.Errorf("%s, %q, missing %t: err = %v, want %v", command, state, missing, err, states[state][i])
				}
				if !w.committed {
					t.Errorf("%s, %q, missing %t: what service-order said was undone", command, state, missing)
				}
			}
		}
	}
}

func run(t *testing.T, w *world, command string) (err error) {
	t.Helper()
	d := delivery.New(w)
	switch command {
	case "assign":
		_, err = d.Assign(t.Context(), "a", 0)
	case "unassign":
		_, err = d.Unassign(t.Context(), "a", "")
	case "look":
		err = d.Look(t.Context(), "a")
	case "release":
		err = d.Release(t.Context(), "a")
	}
	return err
}

func TestUnassignHoldsWithItsReason(t *testing.T) {
	for given, kept := range map[string]string{"he is ill": "he is ill", "": "taken from its courier by a person"} {
		w := &world{state: courier.StateAssigned}
		id, err := delivery.New(w).Unassign(t.Context(), "a", given)
		if err != nil || id != 7 {
			t.Errorf("Unassign = %d, %v; want courier 7", id, err)
		}
		if len(w.changes) != 1 || w.changes[0].Next.State != courier.StateHeld || w.changes[0].Reason != kept {
			t.Errorf("saved %+v, want held because %q", w.changes, kept)
		}
	}
}

// TestExpireIsOfWhatIsOpenAndLate: an order that service-order calls completed
// is not held, however late it is.
func TestExpireIsOfWhatIsOpenAndLate(t *testing.T) {
	for _, state := range courier.States() {
		for _, late := range []bool{false, true} {
			w := &world{state: state, late: late}
			expired, err := delivery.New(w).Expire(t.Context(), "a")
			if want := late && state == courier.StateAssigned; err != nil || expired != want || (len(w.changes) == 1) != want {
				t.Errorf("%q, late %t: expired %t, saved %+v, %v", state, late, expired, w.changes, err)
			}
		}
	}
}

// TestFailuresUndo: only a refusal keeps the transaction.
func TestFailuresUndo(t *testing.T) {
	broken := errors.New("broken")
	w := &world{state: courier.StateWaiting, assign: broken}
	if err := run(t, w, "assign"); !errors.Is(err, broken) || w.committed {
		t.Errorf("err = %v, committed %t; want broken and undone", err, w.committed)
	}
	w = &world{state: courier.StateWaiting, assign: courier.ErrNobodyFree}
	if err := run(t, w, "assign"); !errors.Is(err, courier.ErrNobodyFree) || !w.committed {
		t.Errorf("err = %v, committed %t; want ErrNobodyFree, and the order in line", err, w.committed)
	}
	w = &world{asked: courier.ErrOrdersUnavailable}
	if err := run(t, w, "release"); !errors.Is(err, courier.ErrOrdersUnavailable) {
		t.Errorf("err = %v, want ErrOrdersUnavailable", err)
	}
}
