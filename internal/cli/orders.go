package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"service-courier/internal/cli/client"
	"service-courier/internal/cli/output"
	"service-courier/internal/courier"
)

const ordersPath = apiRoot + "/orders"

var (
	orderColumns = []output.Column{
		{Title: "order", Path: "order_id"},
		{Title: "state", Path: "state"},
		{Title: "overdue", Path: "overdue"},
		{Title: "missing since", Path: "missing_since", Show: output.Clock},
		{Title: "courier", Path: "delivery.courier_id"},
		{Title: "name", Path: "delivery.courier_name"},
		{Title: "deadline", Path: "delivery.deadline", Show: output.Clock},
		{Title: "first seen", Path: "first_seen_at", Show: output.Clock},
		{Title: "rechecks", Path: "recheck.attempts"},
		{Title: "recheck reason", Path: "recheck.reason"},
		{Title: "hold reason", Path: "held_reason"},
	}
	// noCourierColumns are why an order has no courier.
	noCourierColumns = []output.Column{
		{Title: "no courier", Path: "no_courier.explanation"},
		{Title: "position", Path: "no_courier.position"},
		{Title: "orders before", Path: "no_courier.orders_before"},
		{Title: "of them missing", Path: "no_courier.missing_before"},
		{Title: "free couriers", Path: "no_courier.free_couriers"},
		{Title: "held by", Path: "no_courier.held_by"},
		{Title: "held since", Path: "no_courier.held_since", Show: output.Clock},
		{Title: "next recheck", Path: "recheck.at", Show: output.Clock},
	}
	timelineColumns = []output.Column{
		{Title: "at", Path: "at", Show: output.Clock},
		{Title: "state", Path: "state"},
		{Title: "courier", Path: "courier_id"},
		{Title: "name", Path: "courier_name"},
		{Title: "deadline", Path: "deadline", Show: output.Clock},
		{Title: "source", Path: "source"},
		{Title: "reason", Path: "reason"},
	}
)

// ListOrders prints the orders in a state, by default the active ones, or only the missing
// ones of them.
func (s *Server) ListOrders(ctx context.Context, state string, missing bool, limit int, w Watch) error {
	q, empty := query("state", cmp.Or(state, "active")), "no "+strings.ReplaceAll(cmp.Or(state, "active"), "_", " ")+" orders"
	if missing {
		q.Set("missing", "true")
		empty = "no " + strings.TrimSpace("missing "+state) + " orders"
	}
	l := listing{path: ordersPath, query: q, limit: limit, columns: orderColumns, empty: empty}
	return s.watch(ctx, w, func(s *Server) error { return s.list(ctx, l) })
}

// GetOrder prints an order, and why it has no courier; as a table with its timeline below.
func (s *Server) GetOrder(ctx context.Context, id string) error {
	path, err := orderPath(id)
	if err != nil {
		return err
	}
	answer, err := s.client.Get(ctx, path, nil)
	if err != nil {
		return err
	}
	var order struct {
		NoCourier *struct{}         `json:"no_courier"`
		Timeline  []json.RawMessage `json:"timeline"`
	}
	if err := json.Unmarshal(answer, &order); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	columns := orderColumns
	if order.NoCourier != nil {
		columns = slices.Concat(orderColumns, noCourierColumns)
	}
	if err := s.out.Item(answer, columns); err != nil || s.out.Format != output.Table {
		return err
	}
	fmt.Fprintln(s.out.Out)
	_, err = s.out.List(each(order.Timeline), timelineColumns, 0)
	return err
}

// orderCommand is the body of the commands on an order; each uses some of the fields.
type orderCommand struct {
	CourierID int64  `json:"courier_id,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// AssignOrder assigns an order to a courier; 0: the next free one.
func (s *Server) AssignOrder(ctx context.Context, id string, courierID int64) error {
	return s.commandOrder(ctx, id, "assign", orderCommand{CourierID: courierID})
}

// UnassignOrder frees the courier of an order and puts the order on hold.
func (s *Server) UnassignOrder(ctx context.Context, id, reason string) error {
	return s.commandOrder(ctx, id, "unassign", orderCommand{Reason: reason})
}

// ReleaseOrder returns an order on hold to the waiting queue.
func (s *Server) ReleaseOrder(ctx context.Context, id string) error {
	return s.commandOrder(ctx, id, "release", nil)
}

// CancelOrder cancels an order that service-order no longer has.
func (s *Server) CancelOrder(ctx context.Context, id, reason string) error {
	return s.commandOrder(ctx, id, "cancel", orderCommand{Reason: reason})
}

// RecheckOrder makes the server fetch an order from service-order now.
func (s *Server) RecheckOrder(ctx context.Context, id string) error {
	return s.commandOrder(ctx, id, "recheck", nil)
}

func (s *Server) commandOrder(ctx context.Context, id, verb string, body any) error {
	path, err := orderPath(id)
	if err != nil {
		return err
	}
	return s.change(ctx, http.MethodPost, path+"/"+verb, body, orderColumns, orderNow)
}

// orderNow is the order after a command: it may be further than the command took it, or
// be there already.
func orderNow(answer client.Answer) string {
	var o struct {
		State        courier.State `json:"state"`
		MissingSince string        `json:"missing_since"`
		ServiceOrder string        `json:"service_order"` // of a recheck
		Delivery     struct {
			CourierID   int64  `json:"courier_id"`
			CourierName string `json:"courier_name"`
		} `json:"delivery"`
	}
	if err := json.Unmarshal(answer.Body, &o); err != nil {
		return "the answer is no order"
	}
	assigned := fmt.Sprintf("order is assigned to courier %d", o.Delivery.CourierID)
	if name := o.Delivery.CourierName; name != "" {
		assigned += " (" + output.Printable(name) + ")"
	}
	missing := o.ServiceOrder == "not_found" || o.ServiceOrder == "" && o.MissingSince != ""
	held := "order is on hold until a dispatcher assigns or releases it, or it ends"
	if missing {
		held = "order is on hold"
	}
	note := map[courier.State]string{
		courier.StateSeen:      "order is known, but not its status",
		courier.StateWaiting:   "order is in the waiting queue",
		courier.StateAssigned:  assigned,
		courier.StateHeld:      held,
		courier.StateCompleted: "order is completed",
		courier.StateCancelled: "order is cancelled",
	}[o.State]
	switch {
	case missing && o.State == courier.StateHeld:
		note += "; service-order answers 404: recheck or cancel it"
	case missing:
		note += "; service-order answers 404"
	case o.ServiceOrder == "found":
		note += "; service-order has it"
	}
	return note
}

func orderPath(arg string) (string, error) {
	id, err := courier.ParseOrderID(arg)
	if err != nil {
		return "", Usagef("order %q: %w", arg, err)
	}
	return ordersPath + "/" + string(id), nil
}
