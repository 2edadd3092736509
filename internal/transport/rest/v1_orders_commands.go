package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orders"
)

// orderNowhere tells of the 404 of an order that nothing can be done with.
const orderNowhere = "404: service-order has no such order, and it was never more than heard of here."

// registerOrderCommands adds what a person can do with an order.
func (a *api) registerOrderCommands(o ordersAPI) {
	register(a, operate, orderCommand("assign", "Give an order a courier",
		"The courier named, or else the free one whose turn it is, gets the order past the line. Safe to repeat: an order that has the courier named, "+
			"or any where none is named, stays as it is. 409: nobody is free (the order then waits in line), the courier is not free, "+
			"the order has another courier, has ended, or has an unknown status. 404: service-order has no such order, or there is no such courier."), o.assign)
	register(a, operate, orderCommand("unassign", "Take an order from its courier",
		"The courier is free at once; the order is held until a person assigns or releases it, or it ends. So is an order freed that service-order no longer has. "+
			"409: no courier has it, as when it is asked for again. "+orderNowhere), o.unassign)
	register(a, operate, orderCommand("release", "Put a held order back in line",
		"It keeps the place it had, and may have its next courier by the time of the answer. 409: it is not held, as when it is asked for again. "+
			"404: service-order has no such order, and it is held here or was never more than heard of."), o.release)
	register(a, operate, orderCommand("look", "Ask service-order about an order now",
		"Safe to repeat. What service-order says is saved as it is for an event. "+orderNowhere), o.look)
}

func orderCommand(verb, summary, description string) huma.Operation {
	return huma.Operation{
		OperationID: verb + "-order", Method: http.MethodPost, Path: orderPath + "/" + verb, Tags: []string{"orders"},
		Summary:     summary,
		Description: "service-order is asked first, and what it says is saved whatever becomes of the command. " + description + " 503: service-order or the database cannot be asked.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}
}

type orderOutput struct{ Body OrderBody }

func newOrderOutput(o orders.Order, err error) (*orderOutput, error) {
	if err != nil {
		return nil, err
	}
	return &orderOutput{newOrderBody(o)}, nil
}

type assignOrderBody struct {
	CourierID int64 `json:"courier_id,omitempty" minimum:"1" doc:"without it, the free courier whose turn it is" example:"7"`
}

type assignOrderInput struct {
	OrderInput

	Body *assignOrderBody
}

func (o ordersAPI) assign(ctx context.Context, in *assignOrderInput) (*orderOutput, error) {
	var courierID int64
	if in.Body != nil {
		courierID = in.Body.CourierID
	}
	return newOrderOutput(o.orders.Assign(ctx, courier.OrderID(in.OrderID), courierID))
}

type unassignOrderBody struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"why the order is held, for those who find it so; it is kept in the order's history: name nobody in it (no names, phones, addresses)" example:"his scooter broke down"`
}

type unassignOrderInput struct {
	OrderInput

	Body *unassignOrderBody
}

func (o ordersAPI) unassign(ctx context.Context, in *unassignOrderInput) (*orderOutput, error) {
	var reason string
	if in.Body != nil {
		reason = in.Body.Reason
	}
	return newOrderOutput(o.orders.Unassign(ctx, courier.OrderID(in.OrderID), reason))
}

func (o ordersAPI) release(ctx context.Context, in *OrderInput) (*orderOutput, error) {
	return newOrderOutput(o.orders.Release(ctx, courier.OrderID(in.OrderID)))
}

func (o ordersAPI) look(ctx context.Context, in *OrderInput) (*orderOutput, error) {
	return newOrderOutput(o.orders.Look(ctx, courier.OrderID(in.OrderID)))
}
