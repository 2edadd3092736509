package rest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
)

// fleetAPI is the couriers under /api/v1: the same couriers as those of the
// course's routes, with more to see and to do.
type fleetAPI struct{ couriers Couriers }

const (
	fleetPath  = versioned + "/couriers"
	memberPath = fleetPath + "/{courier_id}"
)

func (a *api) registerFleet(use Couriers) {
	f := fleetAPI{use}
	conflicts := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable}
	register(a, read, fleetOperation("list-fleet", http.MethodGet, fleetPath, "List couriers, in the order of their ids", "", http.StatusServiceUnavailable), f.list)
	register(a, read, fleetOperation("get-fleet-courier", http.MethodGet, memberPath, "Get one courier", "",
		http.StatusNotFound, http.StatusServiceUnavailable), f.get)
	create := fleetOperation("create-courier", http.MethodPost, fleetPath, "Register a courier",
		"Safe to repeat: where the phone is a courier's with the same name and transport, he is answered with 200. 409: somebody else has the phone, or the status is busy.",
		http.StatusConflict, http.StatusServiceUnavailable)
	create.DefaultStatus = http.StatusCreated
	register(a, operate, create, f.create)
	responses := a.OpenAPI().Paths[fleetPath].Post.Responses
	again := *responses["201"]
	again.Description = "He was registered before"
	responses["200"] = &again
	register(a, operate, fleetOperation("change-courier", http.MethodPatch, memberPath, "Change a courier's name, phone or transport",
		"Fields that are left out stay. The deadline of an open delivery stays, too. 409: another courier has the phone.", conflicts...), f.change)
	register(a, operate, fleetOperation("pause-courier", http.MethodPost, memberPath+"/pause", "Give a courier no more orders",
		"Safe to repeat. 409: he has an open delivery, and after_delivery is not asked for.", conflicts...), f.pause)
	register(a, operate, fleetOperation("resume-courier", http.MethodPost, memberPath+"/resume", "Give a courier orders again",
		"Safe to repeat. One who was to pause after his delivery goes on.",
		http.StatusNotFound, http.StatusPreconditionFailed, http.StatusServiceUnavailable), f.resume)
	remove := fleetOperation("delete-courier", http.MethodDelete, memberPath, "Take a courier off the fleet",
		"His deliveries stay, in the history and in the statistics; his phone may be another's. 409: he has an open delivery. 404 also when he was deleted before.", conflicts...)
	remove.DefaultStatus = http.StatusNoContent
	register(a, operate, remove, f.remove)
}

func fleetOperation(id, method, path, summary, description string, errs ...int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Tags: []string{"couriers"},
		Summary: summary, Description: description, Errors: errs,
	}
}

// memberBody is a courier as clients of /api/v1 see him.
type memberBody struct {
	CourierBody

	PauseAfterDelivery bool   `json:"pause_after_delivery" doc:"he is paused when his delivery ends"`
	OrderID            string `json:"order_id,omitempty" doc:"of his open delivery"`
	Deliveries         int64  `json:"deliveries" minimum:"0" doc:"completed ones"`
}

func newMemberBody(c courier.Courier) memberBody {
	return memberBody{newCourierBody(c), c.PauseAfter, string(c.OrderID), c.Deliveries}
}

type fleetInput struct {
	PageInput

	Status        string `query:"status" enum:"available,busy,paused" doc:"only these"`
	TransportType string `query:"transport_type" enum:"on_foot,scooter,car" doc:"only these"`
}

// fleetKey is where a page of couriers ends.
type fleetKey struct {
	ID int64 `json:"id"`
}

type fleetOutput struct{ Body pageBody[memberBody] }

func (f fleetAPI) list(ctx context.Context, in *fleetInput) (*fleetOutput, error) {
	after, err := decodeCursor[fleetKey](in.Cursor)
	if err != nil {
		return nil, err
	}
	filter := couriers.Filter{Status: courier.Status(in.Status), Transport: courier.Transport(in.TransportType)}
	found, err := f.couriers.Page(ctx, filter, after.ID, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return &fleetOutput{newPage(found, in.Limit, newMemberBody, func(c courier.Courier) fleetKey { return fleetKey{c.ID} })}, nil
}

// MemberInput names a courier in the path; embed it.
type MemberInput struct {
	CourierID int64 `path:"courier_id" minimum:"1" example:"7"`
}

type memberOutput struct {
	ETag string `header:"ETag" doc:"for If-Match of a change"`
	Body memberBody
}

func newMemberOutput(c courier.Courier, err error) (*memberOutput, error) {
	if err != nil {
		return nil, err
	}
	body := newMemberBody(c)
	return &memberOutput{etagOf(body), body}, nil
}

func (f fleetAPI) get(ctx context.Context, in *MemberInput) (*memberOutput, error) {
	return newMemberOutput(f.couriers.Get(ctx, in.CourierID))
}

type createdOutput struct {
	Status   int
	ETag     string `header:"ETag" doc:"for If-Match of a change"`
	Location string `header:"Location" doc:"the courier's own path"`
	Body     memberBody
}

func (f fleetAPI) create(ctx context.Context, in *registerInput) (*createdOutput, error) {
	c, created, err := f.couriers.Ensure(ctx, in.Body.courier())
	if err != nil {
		return nil, err
	}
	body := newMemberBody(c)
	out := &createdOutput{http.StatusOK, etagOf(body), fmt.Sprintf("%s/%d", fleetPath, c.ID), body}
	if created {
		out.Status = http.StatusCreated
	}
	return out, nil
}

type changeInput struct {
	MemberInput
	MatchInput

	Body struct {
		Name          *label             `json:"name,omitempty" maxLength:"200" example:"Anna"`
		Phone         *label             `json:"phone,omitempty" maxLength:"32" example:"+79000000001"`
		TransportType *courier.Transport `json:"transport_type,omitempty" enum:"on_foot,scooter,car"`
	}
}

func (f fleetAPI) change(ctx context.Context, in *changeInput) (*memberOutput, error) {
	fields := couriers.Fields{Name: (*string)(in.Body.Name), Phone: (*string)(in.Body.Phone), Transport: in.Body.TransportType}
	return newMemberOutput(f.couriers.Change(ctx, in.CourierID, fields, in.expect))
}

type pauseInput struct {
	MemberInput
	MatchInput

	Body *struct {
		AfterDelivery bool `json:"after_delivery,omitempty" doc:"who is busy pauses when his delivery ends"`
	}
}

func (f fleetAPI) pause(ctx context.Context, in *pauseInput) (*memberOutput, error) {
	after := in.Body != nil && in.Body.AfterDelivery
	return newMemberOutput(f.couriers.Pause(ctx, in.CourierID, after, in.expect))
}

// memberChange is a change that needs nothing but the courier.
type memberChange struct {
	MemberInput
	MatchInput
}

func (f fleetAPI) resume(ctx context.Context, in *memberChange) (*memberOutput, error) {
	return newMemberOutput(f.couriers.Resume(ctx, in.CourierID, in.expect))
}

func (f fleetAPI) remove(ctx context.Context, in *memberChange) (*struct{}, error) {
	return &struct{}{}, f.couriers.Delete(ctx, in.CourierID, in.expect)
}

// expect is couriers.Expect: the courier is as If-Match says.
func (m MatchInput) expect(c courier.Courier) error {
	if !m.matches(etagOf(newMemberBody(c))) {
		return courier.ErrChanged
	}
	return nil
}
