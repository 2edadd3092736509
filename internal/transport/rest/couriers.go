package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
)

// Couriers is the use case of keeping the couriers. Its errors match the
// sentinels of the domain.
type Couriers interface {
	Register(ctx context.Context, c courier.Courier) (id int64, err error)
	Ensure(ctx context.Context, c courier.Courier) (is courier.Courier, created bool, err error)
	Get(ctx context.Context, id int64) (courier.Courier, error)
	List(ctx context.Context) ([]courier.Courier, error)
	Page(ctx context.Context, f couriers.Filter, after int64, limit int) ([]courier.Courier, error)
	Change(ctx context.Context, id int64, f couriers.Fields, expect couriers.Expect) (courier.Courier, error)
	Pause(ctx context.Context, id int64, afterDelivery bool, expect couriers.Expect) (courier.Courier, error)
	Resume(ctx context.Context, id int64, expect couriers.Expect) (courier.Courier, error)
	Delete(ctx context.Context, id int64, expect couriers.Expect) error
}

type couriersAPI struct{ couriers Couriers }

func (a *api) registerCouriers(use Couriers) {
	c := couriersAPI{use}
	register(a, operate, huma.Operation{
		OperationID: "register-courier", Method: http.MethodPost, Path: "/courier", Tags: []string{"couriers"},
		Summary:       "Register a courier",
		Description:   "An available courier is given the next waiting order at once. 409: the phone exists, or the status is busy. After a 503 it is not known whether the courier was registered; if so, trying again answers 409.",
		DefaultStatus: http.StatusCreated,
		Errors:        []int{http.StatusConflict, http.StatusServiceUnavailable},
	}, c.register)
	register(a, operate, huma.Operation{
		OperationID: "update-courier", Method: http.MethodPut, Path: "/courier", Tags: []string{"couriers"},
		Summary:     "Change fields of a courier",
		Description: "Fields that are left out stay. 409: another courier has the phone, busy set by hand, or a busy courier made available or paused.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, c.update)
	register(a, read, huma.Operation{
		OperationID: "get-courier", Method: http.MethodGet, Path: "/courier/{id}", Tags: []string{"couriers"},
		Summary: "Get one courier",
		Errors:  []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, c.get)
	register(a, read, huma.Operation{
		OperationID: "list-couriers", Method: http.MethodGet, Path: "/couriers", Tags: []string{"couriers"},
		Summary: "List every courier, in the order of their ids",
		Errors:  []int{http.StatusServiceUnavailable},
	}, c.list)
}

// CourierBody is a courier as clients of the course see him.
type CourierBody struct {
	ID            int64  `json:"id" minimum:"1" example:"7"`
	Name          string `json:"name" example:"Anna"`
	Phone         string `json:"phone" example:"+79000000001"`
	Status        string `json:"status" enum:"available,busy,paused"`
	TransportType string `json:"transport_type" enum:"on_foot,scooter,car"`
}

func newCourierBody(c courier.Courier) CourierBody {
	return CourierBody{c.ID, c.Name, c.Phone, string(c.Status), string(c.Transport)}
}

// registerBody is a courier to be. The lengths are courier.MaxNameLen and
// courier.MaxPhoneLen. busy is a known status, so that it can be refused as the
// conflict it is.
type registerBody struct {
	Name          label  `json:"name" maxLength:"200" example:"Anna"`
	Phone         label  `json:"phone" maxLength:"32" doc:"unique" example:"+79000000001"`
	Status        string `json:"status,omitempty" enum:"available,busy,paused" default:"available" doc:"busy is refused: only an order makes a courier busy"`
	TransportType string `json:"transport_type" enum:"on_foot,scooter,car"`
}

func (b registerBody) courier() courier.Courier {
	return courier.Courier{
		Name: string(b.Name), Phone: string(b.Phone), Status: courier.Status(b.Status), Transport: courier.Transport(b.TransportType),
	}
}

type registerInput struct{ Body registerBody }

type idBody struct {
	ID int64 `json:"id" minimum:"1" example:"7"`
}

type idOutput struct{ Body idBody }

func (c couriersAPI) register(ctx context.Context, in *registerInput) (*idOutput, error) {
	id, err := c.couriers.Register(ctx, in.Body.courier())
	if err != nil {
		return nil, err
	}
	return &idOutput{idBody{id}}, nil
}

// updateBody names a courier and what he is to have otherwise.
type updateBody struct {
	ID            int64              `json:"id" minimum:"1" example:"7"`
	Name          *label             `json:"name,omitempty" maxLength:"200" example:"Anna"`
	Phone         *label             `json:"phone,omitempty" maxLength:"32" example:"+79000000001"`
	Status        *courier.Status    `json:"status,omitempty" enum:"available,busy,paused"`
	TransportType *courier.Transport `json:"transport_type,omitempty" enum:"on_foot,scooter,car"`
}

type updateInput struct {
	MatchInput

	Body updateBody
}

func (c couriersAPI) update(ctx context.Context, in *updateInput) (*courierOutput, error) {
	b := in.Body
	fields := couriers.Fields{Name: (*string)(b.Name), Phone: (*string)(b.Phone), Status: b.Status, Transport: b.TransportType}
	return newCourierOutput(c.couriers.Change(ctx, b.ID, fields, in.expect))
}

type courierInput struct {
	ID int64 `path:"id" minimum:"1" example:"7"`
}

type courierOutput struct {
	ETag string `header:"ETag" doc:"for If-Match of a change"`
	Body CourierBody
}

// newCourierOutput has the ETag that the courier has under /api/v1, so that either
// serves a change by either.
func newCourierOutput(c courier.Courier, err error) (*courierOutput, error) {
	if err != nil {
		return nil, err
	}
	return &courierOutput{etagOf(newMemberBody(c)), newCourierBody(c)}, nil
}

func (c couriersAPI) get(ctx context.Context, in *courierInput) (*courierOutput, error) {
	return newCourierOutput(c.couriers.Get(ctx, in.ID))
}

type couriersOutput struct {
	Body []CourierBody `nullable:"false"`
}

func (c couriersAPI) list(ctx context.Context, _ *struct{}) (*couriersOutput, error) {
	all, err := c.couriers.List(ctx)
	if err != nil {
		return nil, err
	}
	bodies := make([]CourierBody, len(all)) // never null
	for i := range all {
		bodies[i] = newCourierBody(all[i])
	}
	return &couriersOutput{bodies}, nil
}
