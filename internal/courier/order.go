package courier

import "fmt"

// MaxOrderIDLen is the length of the longest valid order id, in bytes.
const MaxOrderIDLen = 64

// OrderID is the id of an order in service-order. Only ParseOrderID makes one, so that it
// is safe in a URL path and in a text column.
type OrderID string

// UnmarshalText implements encoding.TextUnmarshaler, for ids in JSON.
func (id *OrderID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseOrderID(string(text))
	return err
}

// ParseOrderID accepts ^[A-Za-z0-9_-]{1,64}$ and returns ErrBadOrderID for everything
// else, so that no id leaves its URL path ("..", "/", "%2e") or breaks a text column
// (NUL, invalid UTF-8).
func ParseOrderID(s string) (OrderID, error) {
	if s == "" {
		return "", fmt.Errorf("%w: empty", ErrBadOrderID)
	}
	if len(s) > MaxOrderIDLen {
		return "", fmt.Errorf("%w: %d bytes, at most %d allowed", ErrBadOrderID, len(s), MaxOrderIDLen)
	}
	for i := range len(s) {
		if !isIDByte(s[i]) {
			return "", fmt.Errorf("%w: %q is not one of A-Z a-z 0-9 _ -", ErrBadOrderID, s[i:i+1])
		}
	}
	return OrderID(s), nil
}

func isIDByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	default:
		return b == '-' || b == '_'
	}
}

// Class groups the statuses of service-order. The class of an order only rises:
// unknown < active < completed < cancelled.
type Class uint8

// The classes, lowest first.
const (
	ClassUnknown   Class = iota // no status, or an unknown one
	ClassActive                 // the order needs a courier
	ClassCompleted              // delivered: the courier is available, the delivery counts
	ClassCancelled              // the courier is available, nothing counts
)

// classes has every status of service-order. Both spellings of cancelled occur;
// "deleted" is published by its DELETE.
var classes = map[string]Class{
	"created":    ClassActive,
	"pending":    ClassActive,
	"confirmed":  ClassActive,
	"cooking":    ClassActive,
	"delivering": ClassActive,
	"updated":    ClassActive,
	"completed":  ClassCompleted,
	"delivered":  ClassCompleted,
	"cancelled":  ClassCancelled,
	"canceled":   ClassCancelled,
	"deleted":    ClassCancelled,
}

// ClassOf returns the class of a status in service-order's spelling, or ClassUnknown.
func ClassOf(status string) Class { return classes[status] }

// String returns the name of the class, for logs and metrics.
func (c Class) String() string {
	switch c {
	case ClassActive:
		return "active"
	case ClassCompleted:
		return "completed"
	case ClassCancelled:
		return "cancelled"
	case ClassUnknown:
	}
	return "unknown"
}

// ParseClass returns the class of a name that String returned, or ClassUnknown.
func ParseClass(name string) Class {
	for _, c := range []Class{ClassActive, ClassCompleted, ClassCancelled} {
		if c.String() == name {
			return c
		}
	}
	return ClassUnknown
}

// State is the state of an order in this service; zero is an order without a row.
//
//	none → seen → {waiting ⇄ assigned ⇄ held ⇄ waiting} → completed → cancelled
//
// The three active states follow each other freely. Otherwise an order only moves
// forward, and may skip states.
type State string

// The states of an order, lowest first.
const (
	StateNone      State = ""          // no row
	StateSeen      State = "seen"      // an event named it; its class is not known yet
	StateWaiting   State = "waiting"   // in the waiting queue
	StateAssigned  State = "assigned"  // has exactly one courier, who is busy with it
	StateHeld      State = "held"      // on hold: only a dispatcher assigns or releases it
	StateCompleted State = "completed" // delivered
	StateCancelled State = "cancelled" // final
)

// States lists every state, lowest first.
func States() []State {
	return []State{StateNone, StateSeen, StateWaiting, StateAssigned, StateHeld, StateCompleted, StateCancelled}
}

// Class returns the class of the state; ClassUnknown for an order without a row or
// only seen.
func (s State) Class() Class {
	switch s {
	case StateWaiting, StateAssigned, StateHeld:
		return ClassActive
	case StateCompleted:
		return ClassCompleted
	case StateCancelled:
		return ClassCancelled
	case StateNone, StateSeen:
	}
	return ClassUnknown
}

// CanBecome reports whether an order may move from s to next: the class never falls,
// nothing follows cancelled, and seen is only a first state.
func (s State) CanBecome(next State) bool {
	switch {
	case s == next, next == StateNone, s == StateCancelled:
		return false
	case next == StateSeen:
		return s == StateNone
	default:
		return next.Class() >= s.Class()
	}
}
