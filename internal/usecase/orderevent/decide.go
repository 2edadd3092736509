package orderevent

import (
	"fmt"

	"service-courier/internal/courier"
)

// decision is what an observation changes about an order.
type decision struct {
	next    Order // in StateNone the row is deleted
	outcome Outcome
	reason  string // for the journal and the log
}

// Outcome is the result of processing one order.
type Outcome string

// The outcomes.
const (
	Applied    Outcome = "applied"    // the order changed its state
	Unchanged  Outcome = "unchanged"  // the order is up to date
	Superseded Outcome = "superseded" // the order is further than the answer
	Deferred   Outcome = "deferred"   // a recheck is scheduled
	Ignored    Outcome = "ignored"    // all rechecks are used up
)

// action decides the next row of an order from its current one and an observation.
// Actions are pure functions.
type action func(Order, observation) decision

// actions is the factory: the kind of the answer selects the action.
var actions = map[kind]action{
	kindActive:        decideActive,
	kindCompleted:     decideCompleted,
	kindCancelled:     decideCancelled,
	kindMissing:       decideMissing,
	kindUnknownStatus: decideUnknownStatus,
	kindUnavailable:   decideUnavailable,
}

// decide makes the whole decision about one order. First it merges the ending that an
// event stated into the row, so that it survives a failed fetch. A cancelled order never
// changes: its row is a tombstone, which keeps an older, slower answer from assigning the
// order again.
func decide(o Order, obs observation) decision {
	act, known := actions[obs.kind()]
	if !known {
		panic(fmt.Sprintf("no action for kind %d", obs.kind()))
	}
	if o.State == courier.StateCancelled {
		return decideTombstone(o, obs)
	}
	if obs.eventClass >= courier.ClassCompleted && obs.eventClass > o.State.Class() {
		o.Hinted = max(o.Hinted, obs.eventClass)
	}
	return act(o, obs)
}

// decideTombstone distinguishes an outdated answer from a repeated one.
func decideTombstone(o Order, obs observation) decision {
	if k := obs.kind(); k == kindActive || k == kindCompleted {
		return decision{o, Superseded, reported(obs) + ", but the order is already cancelled"}
	}
	return decision{o, Unchanged, ""}
}

// decideActive queues an order that is active in service-order and not yet here.
// It only queues: Matcher alone assigns couriers.
func decideActive(o Order, obs observation) decision {
	reason := reported(obs)
	becameWaiting := o.State.Class() != courier.ClassActive && o.become(courier.StateWaiting)
	if becameWaiting {
		o.CreatedAt = obs.answer.CreatedAt
	}
	o.Missing = false
	outcome := resolveEventClass(&o, obs, courier.ClassActive)
	switch {
	case becameWaiting:
		outcome = Applied
	case o.State == courier.StateCompleted && outcome == Unchanged:
		outcome, reason = Superseded, reason+", but the order is already completed"
	}
	return decision{o, outcome, reason}
}

// decideCompleted completes the order: its courier becomes free and the delivery
// counts. An order without a courier is completed too, so that none is sent out.
func decideCompleted(o Order, obs observation) decision {
	completed := o.become(courier.StateCompleted)
	if completed && o.CreatedAt.IsZero() {
		o.CreatedAt = obs.answer.CreatedAt
	}
	o.Missing = false
	outcome := resolveEventClass(&o, obs, courier.ClassCompleted)
	if completed {
		outcome = Applied
	}
	return decision{o, outcome, reported(obs)}
}

func decideCancelled(o Order, obs observation) decision { return cancel(o, reported(obs)) }

// cancel rolls back the delivery, frees its courier and keeps the row as a
// tombstone, also for an order that never had a courier.
func cancel(o Order, reason string) decision { return decision{Tombstone(o), Applied, reason} }

// Tombstone is a cancelled order: nothing is pending any more.
func Tombstone(o Order) Order {
	return Order{OrderID: o.OrderID, State: courier.StateCancelled, CreatedAt: o.CreatedAt}
}

// decideMissing handles a 404. It cancels only together with a cancel hint, since a
// restarted service-order answers 404 for every order it had. Without one it frees
// no courier and assigns none: the order is marked missing, rechecked a few times
// and then left to the resync. An order that was only seen is deleted.
func decideMissing(o Order, obs observation) decision {
	switch {
	case o.Hinted == courier.ClassCancelled:
		return cancel(o, "not found in service-order after a cancel event")
	case obs.needsNoRecheck(o):
		o.Missing = o.Missing || o.State.Class() == courier.ClassActive
		return decision{o, Unchanged, ""}
	case o.State == courier.StateCompleted:
		if obs.ownsRecheck(o) {
			o.Recheck = Recheck{}
		}
		return decision{o, Ignored, "completed order not found in service-order"}
	}
	if o.State == courier.StateNone {
		o.State = courier.StateSeen
	}
	o.Missing = true
	if scheduleBounded(&o, obs, ReasonMissing) {
		return decision{o, Deferred, "not found in service-order"}
	}
	if o.State == courier.StateSeen {
		return decision{Order{OrderID: o.OrderID}, Ignored, "never found in service-order"}
	}
	return decision{o, Ignored, "no longer found in service-order; the order is missing"}
}

// decideUnknownStatus changes nothing and schedules rechecks until the status is a
// known one. A completed order needs no courier, so its rechecks are bounded; else
// every order that gets a status such as "rated" would be fetched for ever.
func decideUnknownStatus(o Order, obs observation) decision {
	reason := fmt.Sprintf("service-order reports the unknown status %q", obs.answer.Status)
	switch {
	case obs.needsNoRecheck(o):
		return decision{o, Unchanged, ""}
	case o.State == courier.StateCompleted:
		if !scheduleBounded(&o, obs, ReasonUnknownStatus) {
			return decision{o, Ignored, reason}
		}
		return decision{o, Deferred, reason}
	case o.State == courier.StateNone:
		o.State = courier.StateSeen
	}
	scheduleUnbounded(&o, obs, ReasonUnknownStatus, reason)
	return decision{o, Deferred, reason}
}

// maxErrorLen bounds the error text kept with a recheck, in bytes.
const maxErrorLen = 300

// decideUnavailable defers the order until service-order answers. decide has already
// stored the ending that the event stated.
func decideUnavailable(o Order, obs observation) decision {
	if obs.needsNoRecheck(o) {
		return decision{o, Unchanged, ""}
	}
	if o.State == courier.StateNone {
		o.State = courier.StateSeen
	}
	problem := obs.err.Error()
	problem = problem[:min(len(problem), maxErrorLen)]
	scheduleUnbounded(&o, obs, ReasonUnavailable, problem)
	return decision{o, Deferred, problem}
}

func reported(obs observation) string { return "service-order reports " + obs.answer.Status }
