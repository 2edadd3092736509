package orders

import (
	"context"
	"fmt"
	"time"

	"service-courier/internal/courier"
)

// QueuePlace says how many orders are before an order in the waiting queue, and how many
// couriers are free. The first two are 0 unless the order waits.
type QueuePlace struct {
	Before        int // waiting orders before it, the missing ones included
	BeforeMissing int // those of them that are missing: matching passes them over
	FreeCouriers  int
}

// Cause is why an order has no courier.
type Cause string

// The causes.
const (
	CauseStatusUnknown Cause = "status_unknown"  // service-order has given no known status yet
	CauseNotFound      Cause = "not_found"       // service-order does not have the order, which was never active
	CauseHeld          Cause = "held"            // on hold
	CauseHeldMissing   Cause = "held_missing"    // on hold, and service-order does not have the order
	CauseMissing       Cause = "missing"         // service-order does not have the order
	CauseNoFreeCourier Cause = "no_free_courier" // waiting
	CauseQueued        Cause = "queued"          // waiting, and matching is about to reach it
)

// NoCourier says why an order has no courier.
type NoCourier struct {
	QueuePlace

	Cause     Cause
	Position  int    // in the waiting queue, from 1; 0 unless the order waits
	HeldBy    string // the journal's source; "" unless the order is on hold
	HeldSince time.Time
}

// WhyNoCourier says why an order has no courier; nil when it has one or has ended.
func (o *Orders) WhyNoCourier(ctx context.Context, order Order, timeline []TimelineEntry) (*NoCourier, error) {
	var why NoCourier
	switch order.State {
	case courier.StateSeen:
		why.Cause = CauseStatusUnknown
		if !order.MissingSince.IsZero() {
			why.Cause = CauseNotFound
		}
	case courier.StateHeld:
		why.Cause = CauseHeld
		if !order.MissingSince.IsZero() {
			why.Cause = CauseHeldMissing
		}
		for _, e := range timeline {
			if e.State == courier.StateHeld {
				why.HeldBy, why.HeldSince = e.Source, e.At
			}
		}
	case courier.StateWaiting:
	default:
		return nil, nil //nolint:nilnil // it has a courier, or needs none
	}
	var err error
	if why.QueuePlace, err = o.QueuePlace(ctx, order.OrderID); err != nil {
		return nil, err
	}
	if order.State != courier.StateWaiting {
		why.Before, why.BeforeMissing = 0, 0
		return &why, nil
	}
	why.Position = why.Before + 1
	switch {
	case !order.MissingSince.IsZero():
		why.Cause = CauseMissing
	case why.FreeCouriers <= why.Before-why.BeforeMissing:
		why.Cause = CauseNoFreeCourier
	default:
		why.Cause = CauseQueued
	}
	return &why, nil
}

// String explains the cause in one sentence.
func (n *NoCourier) String() string {
	queue := fmt.Sprintf("at position %d of the waiting queue", n.Position)
	switch n.Cause {
	case CauseStatusUnknown:
		return "service-order has given no known status of the order yet; it is rechecked"
	case CauseNotFound:
		return "service-order does not have the order, which was never active here: it is rechecked a few times, and then removed"
	case CauseHeld:
		return "the order is on hold until a dispatcher assigns or releases it"
	case CauseHeldMissing:
		return "the order is on hold, and service-order does not have it: recheck or cancel it"
	case CauseMissing:
		return "service-order does not have the order: it stays " + queue + ", but no courier is sent; recheck or cancel it"
	case CauseNoFreeCourier:
		text := fmt.Sprintf("the order waits %s; free couriers: %d, orders before it: %d", queue, n.FreeCouriers, n.Before)
		if n.BeforeMissing > 0 {
			text += fmt.Sprintf(", of them missing: %d", n.BeforeMissing)
		}
		return text
	default:
		return fmt.Sprintf("the order waits %s and is assigned within a second; free couriers: %d", queue, n.FreeCouriers)
	}
}
