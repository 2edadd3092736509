package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"service-courier/internal/courier"
	"service-courier/internal/output"
)

const ordersPath = apiRoot + "/orders"

var (
	orderColumns = []output.Column{
		{Title: "order", Path: "order_id"},
		{Title: "state", Path: "state"},
		{Title: "late", Path: "late"},
		{Title: "courier", Path: "delivery.courier_id"},
		{Title: "deadline", Path: "delivery.deadline", Show: output.Clock},
		{Title: "first seen", Path: "first_seen_at", Show: output.Clock},
		{Title: "missing since", Path: "missing_since", Show: output.Clock},
		{Title: "looked at", Path: "look.attempts"},
		{Title: "because", Path: "look.reason"},
		{Title: "held", Path: "held_reason"},
	}
	timelineColumns = []output.Column{
		{Title: "at", Path: "at", Show: output.Clock},
		{Title: "state", Path: "state"},
		{Title: "courier", Path: "courier_id"},
		{Title: "deadline", Path: "deadline", Show: output.Clock},
		{Title: "source", Path: "source"},
		{Title: "reason", Path: "reason"},
	}
)

func (r *remote) orders() *cobra.Command {
	return group("orders", "See the orders of a running server, and have a hand in their deliveries",
		"service-order is asked before anything is done; what it says stands.",
		r.listOrders(), r.getOrder(), r.assignOrder(), r.unassignOrder(),
		r.orderAction("release", "Put a held order back in line, at its old place", "back in line"),
		r.orderAction("look", "Ask service-order about an order now", "looked at"))
}

func (r *remote) listOrders() *cobra.Command {
	var state string
	var limit int
	cmd := &cobra.Command{
		Use: "list --state STATE", Short: "List the orders in one state", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.list(cmd, ordersPath, query("state", state), limit, orderColumns)
		},
	}
	cmd.Flags().StringVar(&state, "state", "waiting", "waiting, assigned, late, looking, missing, held, completed or cancelled")
	limitFlag(cmd, &limit)
	return r.formats(cmd)
}

func (r *remote) assignOrder() *cobra.Command {
	var body struct {
		CourierID int64 `json:"courier_id,omitempty"`
	}
	cmd := &cobra.Command{
		Use: "assign ORDER", Short: "Give an order the courier named, or the free one whose turn it is", Args: oneOrder,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.actOn(cmd, args[0], "assign", body, "assigned")
		},
	}
	cmd.Flags().Int64Var(&body.CourierID, "courier", 0, "the `ID` of a free courier")
	return r.formats(cmd)
}

func (r *remote) unassignOrder() *cobra.Command {
	var body struct {
		Reason string `json:"reason,omitempty"`
	}
	cmd := &cobra.Command{
		Use: "unassign ORDER", Short: "Take an order from its courier and hold it", Args: oneOrder,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.actOn(cmd, args[0], "unassign", body, "held until somebody assigns or releases it, or it ends")
		},
	}
	cmd.Flags().StringVar(&body.Reason, "reason", "", "why, for those who find it held; it is kept in the order's history:\nname nobody in it (no names, phones, addresses)")
	return r.formats(cmd)
}

// orderAction is one that needs nothing but the order.
func (r *remote) orderAction(verb, short, done string) *cobra.Command {
	return r.formats(&cobra.Command{
		Use: verb + " ORDER", Short: short, Args: oneOrder,
		RunE: func(cmd *cobra.Command, args []string) error { return r.actOn(cmd, args[0], verb, nil, done) },
	})
}

func (r *remote) actOn(cmd *cobra.Command, arg, verb string, body any, done string) error {
	path, err := orderPath(arg)
	if err != nil {
		return err
	}
	return r.act(cmd, http.MethodPost, path+"/"+verb, body, orderColumns, done)
}

var oneOrder = oneArg("the id of one order")

func orderPath(arg string) (string, error) {
	id, err := courier.ParseOrderID(arg)
	if err != nil {
		return "", usageError{fmt.Errorf("%q is no id of an order: %w", arg, err)}
	}
	return ordersPath + "/" + string(id), nil
}

func (r *remote) getOrder() *cobra.Command {
	return r.formats(&cobra.Command{
		Use: "get ORDER", Short: "Show one order and what happened to it", Args: oneOrder,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := orderPath(args[0])
			if err != nil {
				return err
			}
			c, err := r.connect()
			if err != nil {
				return err
			}
			answer, err := c.Get(cmd.Context(), path, nil)
			if err != nil {
				return err
			}
			return showOrder(r.writer(cmd), answer)
		},
	})
}

// showOrder writes an order, and for a person its timeline as a table below it.
func showOrder(w output.Writer, answer json.RawMessage) error {
	if err := w.Item(answer, orderColumns); err != nil || w.Format != output.Table {
		return err
	}
	var order struct {
		Timeline []json.RawMessage `json:"timeline"`
	}
	if err := json.Unmarshal(answer, &order); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	fmt.Fprintln(w.Out)
	_, err := w.List(each(order.Timeline), timelineColumns, 0)
	return err
}
