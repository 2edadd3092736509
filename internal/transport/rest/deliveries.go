package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// Deliveries is the use case of a person's hand in a delivery. Its errors match
// the sentinels of the domain.
type Deliveries interface {
	Assign(ctx context.Context, id courier.OrderID, courierID int64) (orderevent.Assignment, error)
	Unassign(ctx context.Context, id courier.OrderID, reason string) (courierID int64, err error)
}

type deliveriesAPI struct{ deliveries Deliveries }

func (a *api) registerDeliveries(deliveries Deliveries) {
	d := deliveriesAPI{deliveries}
	errs := []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}
	register(a, operate, huma.Operation{
		OperationID: "assign-delivery", Method: http.MethodPost, Path: "/delivery/assign", Tags: []string{"deliveries"},
		Summary: "Give an order a courier",
		Description: "service-order is asked first. The courier named, or else the free one whose turn it is, gets the order past the line. " +
			"409: nobody is free (the order then waits in line), the courier is not free, the order has a courier already, has ended, or has an unknown status. " +
			"404: service-order has no such order, or there is no such courier. 503: service-order or the database cannot be asked.",
		Errors: errs,
	}, d.assign)
	register(a, operate, huma.Operation{
		OperationID: "unassign-delivery", Method: http.MethodPost, Path: "/delivery/unassign", Tags: []string{"deliveries"},
		Summary: "Take an order from its courier",
		Description: "The courier is free at once; the order is held until a person assigns or releases it (POST /api/v1/orders/{order_id}/release), or it ends. " +
			"So is an order freed that service-order no longer has. 409: the order has no courier. " + orderNowhere,
		Errors: errs,
	}, d.unassign)
}

type assignBody struct {
	OrderID   orderID `json:"order_id"`
	CourierID int64   `json:"courier_id,omitempty" minimum:"1" doc:"without it, the free courier whose turn it is"`
}

type assignInput struct{ Body assignBody }

type assignedBody struct {
	CourierID        int64     `json:"courier_id" example:"7"`
	OrderID          string    `json:"order_id"`
	TransportType    string    `json:"transport_type" enum:"on_foot,scooter,car"`
	DeliveryDeadline time.Time `json:"delivery_deadline"`
}

type assignOutput struct{ Body assignedBody }

func (d deliveriesAPI) assign(ctx context.Context, in *assignInput) (*assignOutput, error) {
	a, err := d.deliveries.Assign(ctx, courier.OrderID(in.Body.OrderID), in.Body.CourierID)
	if err != nil {
		return nil, err
	}
	return &assignOutput{assignedBody{a.CourierID, string(a.OrderID), string(a.Transport), a.Deadline.UTC()}}, nil
}

type unassignBody struct {
	OrderID orderID `json:"order_id"`
	Reason  string  `json:"reason,omitempty" maxLength:"200" doc:"why the order is held, for those who find it so; it is kept in the order's history: name nobody in it (no names, phones, addresses)"`
}

type unassignInput struct{ Body unassignBody }

type unassignedBody struct {
	OrderID   string `json:"order_id"`
	Status    string `json:"status" enum:"unassigned"`
	CourierID int64  `json:"courier_id" example:"7"`
}

type unassignOutput struct{ Body unassignedBody }

func (d deliveriesAPI) unassign(ctx context.Context, in *unassignInput) (*unassignOutput, error) {
	courierID, err := d.deliveries.Unassign(ctx, courier.OrderID(in.Body.OrderID), in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return &unassignOutput{unassignedBody{string(in.Body.OrderID), "unassigned", courierID}}, nil
}
