package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
)

// Orders is the use case of package orders. Its errors match the sentinels of
// package courier.
type Orders interface {
	Page(ctx context.Context, list orders.List, after orders.PageKey, limit int) ([]orders.Listed, error)
	Get(ctx context.Context, id courier.OrderID) (orders.Order, error)
	Timeline(ctx context.Context, id courier.OrderID) ([]orders.TimelineEntry, error)
	Assign(ctx context.Context, id courier.OrderID, courierID int64) (orderevent.Assignment, error)
	EnsureAssigned(ctx context.Context, id courier.OrderID, courierID int64) (orders.Order, error)
	Unassign(ctx context.Context, id courier.OrderID, reason string) (courierID int64, err error)
	Release(ctx context.Context, id courier.OrderID) error
	Cancel(ctx context.Context, id courier.OrderID, reason string) error
	Recheck(ctx context.Context, id courier.OrderID) (found bool, err error)
	WhyNoCourier(ctx context.Context, order orders.Order, timeline []orders.TimelineEntry) (*orders.NoCourier, error)
}

type ordersAPI struct{ orders Orders }

const (
	ordersPath = versioned + "/orders"
	orderPath  = ordersPath + "/{order_id}"
)

// Texts that several descriptions share.
const (
	fetchedFirst  = "The order is fetched from service-order first. The current status from service-order is saved even if the command fails. "
	assignRefused = "409: no courier is available (the order is unchanged), the courier is not available, or the order "
	noSuchOrder   = "404: service-order has no such order, and it was never active here. "
	notAvailable  = "503: service-order or the database is unavailable."
)

func (a *api) registerOrders(use Orders) {
	o := ordersAPI{use}
	a.registerDeliveries(o)
	register(a, read, huma.Operation{
		OperationID: "list-orders", Method: http.MethodGet, Path: ordersPath, Tags: []string{"orders"},
		Summary: "List orders",
		Description: "Without state: all orders, by id. **active**: waiting, assigned or on hold, most urgent first: overdue (most overdue first), on hold (longest first), waiting (by queue position), assigned (next deadline first); " +
			"an order that changes while pages are read may be on two of them or on none. **waiting**: by queue position; missing orders are included, although no courier is sent for them; **assigned**: next deadline first, so that the overdue ones are first; " +
			"**overdue**: assigned and past the deadline, most overdue first; **pending_recheck**: soonest recheck first; " +
			"**missing**: active here but unknown to service-order, longest first; " +
			"**held**: on hold, longest first; **completed**, **cancelled**: last changed first.",
		Errors: []int{http.StatusServiceUnavailable},
	}, o.list)
	register(a, read, huma.Operation{
		OperationID: "get-order", Method: http.MethodGet, Path: orderPath, Tags: []string{"orders"},
		Summary: "Get an order with its timeline",
		Description: "The timeline lists the transitions of the order, oldest first; of more than 1,000 the latest 1,000. " +
			"no_courier says why the order has no courier.",
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, o.get)
	register(a, operate, orderCommand("assign", "Assign an order to a courier",
		"The order goes to the courier ahead of the waiting queue. Safe to repeat: an order that already has this courier, or any courier if none is given, stays as it is. "+
			assignRefused+"has another courier, has ended or has an unknown status. 404: service-order has no such order, or there is no such courier. "), o.assign)
	register(a, operate, orderCommand("unassign", "Unassign an order and put it on hold",
		"The courier becomes available at once; the order stays on hold until it is assigned, released or ends. This also works for an order that service-order no longer has. "+
			"409: the order has no courier, for example because the request is repeated. "+noSuchOrder), o.unassign)
	register(a, operate, orderCommand("release", "Release an order on hold into the waiting queue",
		"The order keeps its queue position and may be assigned before the response is sent. 409: the order is not on hold, for example because the request is repeated. "+
			noSuchOrder+"An order on hold that service-order no longer has gets 404, too, and stays on hold. "), o.release)
	register(a, operate, orderCommand("cancel", "Cancel an order that service-order no longer has",
		"Only for a missing order: its courier, if it has one, is freed, the delivery is not counted, and the order stays cancelled, even if service-order has it again. "+
			"Safe to repeat. 409: service-order still has the order (cancel it there), or the order is completed. "+noSuchOrder), o.cancel)
	register(a, operate, orderCommand("recheck", "Recheck an order with service-order now",
		"Safe to repeat. The answer is handled as for an order event; service_order says whether it was 404. "+noSuchOrder), o.recheck)
}

func orderCommand(verb, summary, description string) huma.Operation {
	return huma.Operation{
		OperationID: verb + "-order", Method: http.MethodPost, Path: orderPath + "/" + verb, Tags: []string{"orders"},
		Summary: summary, Description: fetchedFirst + description + notAvailable,
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}
}

// orderID is an order id in a path or a body. Its schema is the rule of
// courier.ParseOrderID.
type orderID string

// Schema implements huma.SchemaProvider.
func (orderID) Schema(huma.Registry) *huma.Schema {
	longest := courier.MaxOrderIDLen
	return &huma.Schema{
		Type: huma.TypeString, Pattern: "^[A-Za-z0-9_-]{1,64}$", MaxLength: &longest,
		Description: "id of the order in service-order",
		Examples:    []any{"8e1eda8f-7b6b-41a9-9b9c-66a2d6592647"},
	}
}

// parse returns the id, or a Problem that names the place. (huma has already refused ids
// that do not match the schema.)
func (id orderID) parse(place string) (courier.OrderID, error) {
	parsed, err := courier.ParseOrderID(string(id))
	if err != nil {
		return "", invalid(place, err.Error())
	}
	return parsed, nil
}

// OrderInput is an order id in the path. huma finds embedded fields of exported
// types only.
type OrderInput struct {
	OrderID orderID `path:"order_id"`
}

func (in OrderInput) id() (courier.OrderID, error) { return in.OrderID.parse("path.order_id") }

// OrderBody is an order.
type OrderBody struct {
	OrderID        string        `json:"order_id" example:"8e1eda8f-7b6b-41a9-9b9c-66a2d6592647"`
	State          string        `json:"state" enum:"seen,waiting,assigned,held,completed,cancelled" doc:"seen: an event named the order, its status is not known yet"`
	OrderCreatedAt time.Time     `json:"order_created_at,omitzero" doc:"according to service-order"`
	QueuePosition  *int64        `json:"queue_position,omitempty" doc:"of a waiting order: given once in order of arrival, with gaps; lower is first"`
	FirstSeenAt    time.Time     `json:"first_seen_at" doc:"when this service first saw the order"`
	UpdatedAt      time.Time     `json:"updated_at"`
	Overdue        bool          `json:"overdue" doc:"the delivery is open past its deadline, or was completed after it"`
	Delivery       *deliveryBody `json:"delivery,omitempty" doc:"of an assigned order, or one completed by a courier"`
	HeldReason     string        `json:"held_reason,omitempty" doc:"why the order is on hold"`
	MissingSince   time.Time     `json:"missing_since,omitzero" doc:"service-order has answered 404 since then"`
	Recheck        *recheckBody  `json:"recheck,omitempty" doc:"the next scheduled recheck"`
}

type deliveryBody struct {
	CourierID    int64     `json:"courier_id" example:"7"`
	CourierName  string    `json:"courier_name,omitempty" example:"Anna"`
	WaitingSince time.Time `json:"waiting_since,omitzero" doc:"when this service first saw the order, as known at its assignment"`
	AssignedAt   time.Time `json:"assigned_at"`
	Deadline     time.Time `json:"deadline"`
	CompletedAt  time.Time `json:"completed_at,omitzero"`
}

type recheckBody struct {
	At       time.Time `json:"at"`
	Reason   string    `json:"reason" enum:"missing,ahead,unknown_status,unavailable"`
	Attempts int       `json:"attempts" doc:"fetches counted for the current recheck, the first included"`
	Error    string    `json:"error,omitempty" doc:"of the last recheck"`
}

func newOrderBody(o orders.Order) OrderBody {
	body := OrderBody{
		OrderID: string(o.OrderID), State: string(o.State), OrderCreatedAt: o.OrderCreatedAt.UTC(),
		QueuePosition: o.QueuePosition, FirstSeenAt: o.CreatedAt.UTC(), UpdatedAt: o.UpdatedAt.UTC(), Overdue: o.Delivery.Overdue,
		HeldReason: o.HeldReason, MissingSince: o.MissingSince.UTC(),
	}
	if d := o.Delivery; d.CourierID != 0 {
		body.Delivery = &deliveryBody{d.CourierID, d.CourierName, d.WaitingSince.UTC(), d.AssignedAt.UTC(), d.Deadline.UTC(), d.CompletedAt.UTC()}
	}
	if r := o.Recheck; !r.At.IsZero() {
		body.Recheck = &recheckBody{r.At.UTC(), string(r.Reason), r.Attempts, r.Error}
	}
	return body
}

type ordersInput struct {
	PageInput

	State   string `query:"state" enum:"active,waiting,assigned,overdue,pending_recheck,missing,held,completed,cancelled" doc:"list only these orders; waiting includes the missing ones, by queue position"`
	Missing bool   `query:"missing" doc:"true: list only missing orders, longest missing first; with state waiting, assigned or held, those of the state"`
}

// orderKey is the cursor of a page of orders; each list has keys of its own.
type orderKey struct {
	List orders.List     `json:"list"`
	Key  string          `json:"key"`
	ID   courier.OrderID `json:"id"`
}

func (o ordersAPI) list(ctx context.Context, in *ordersInput) (*output[page[OrderBody]], error) {
	list := orders.List(in.State)
	if in.Missing {
		missing, ok := list.MissingOnly()
		if !ok {
			return nil, invalid("query.missing", "only active orders are missing: want no state, or active, waiting, assigned or held")
		}
		list = missing
	}
	after, err := decodeCursor[orderKey](in.Cursor)
	if err != nil {
		return nil, err
	}
	if in.Cursor != "" && after.List != list {
		return nil, badCursor()
	}
	found, err := o.orders.Page(ctx, list, orders.PageKey{Key: after.Key, OrderID: after.ID}, in.Limit+1)
	if errors.Is(err, orders.ErrBadPageKey) {
		return nil, badCursor()
	}
	if err != nil {
		return nil, err
	}
	body := func(l orders.Listed) OrderBody { return newOrderBody(l.Order) }
	key := func(l orders.Listed) orderKey { return orderKey{list, l.PageKey.Key, l.PageKey.OrderID} }
	return respond(newPage(found, in.Limit, body, key), nil)
}

type timelineEntryBody struct {
	At        time.Time `json:"at"`
	State     string    `json:"state" doc:"the new state" example:"assigned"`
	Source    string    `json:"source" doc:"cause: partition@offset of an order event, match, recheck, resync, deadline, dispatcher or dispatcher:NAME" example:"3@1042"`
	Reason    string    `json:"reason,omitempty" example:"service-order reports completed"`
	CourierID int64     `json:"courier_id,omitempty" doc:"the courier of the delivery that began or ended" example:"7"`
	Courier   string    `json:"courier_name,omitempty" doc:"the courier's name" example:"Anna"`
	Deadline  time.Time `json:"deadline,omitzero" doc:"of an assignment"`
}

type orderTimelineBody struct {
	OrderBody

	NoCourier *noCourierBody      `json:"no_courier,omitempty" doc:"absent when the order has a courier or has ended"`
	Timeline  []timelineEntryBody `json:"timeline" nullable:"false"`
}

type noCourierBody struct {
	Cause         string    `json:"cause" enum:"status_unknown,not_found,held,held_missing,missing,no_free_courier,queued" doc:"not_found: service-order does not have the order, which was never active here; missing: it no longer has it; queued: assigned within a second"`
	Explanation   string    `json:"explanation" doc:"the cause in a sentence" example:"the order waits at position 3 of the waiting queue; free couriers: 0, orders before it: 2"`
	Position      int       `json:"position,omitempty" minimum:"1" doc:"place in the waiting queue, from 1" example:"3"`
	OrdersBefore  *int      `json:"orders_before,omitempty" minimum:"0" doc:"waiting orders before it, missing ones included" example:"2"`
	MissingBefore *int      `json:"missing_before,omitempty" minimum:"0" doc:"those of them that are missing and passed over" example:"0"`
	FreeCouriers  int       `json:"free_couriers" minimum:"0" example:"0"`
	HeldBy        string    `json:"held_by,omitempty" doc:"who put the order on hold: dispatcher, dispatcher:NAME or deadline" example:"dispatcher:anna"`
	HeldSince     time.Time `json:"held_since,omitzero"`
}

func newNoCourierBody(n *orders.NoCourier) *noCourierBody {
	if n == nil {
		return nil
	}
	body := &noCourierBody{
		Cause: string(n.Cause), Explanation: n.String(), Position: n.Position, FreeCouriers: n.FreeCouriers,
		HeldBy: n.HeldBy, HeldSince: n.HeldSince.UTC(),
	}
	if n.Position > 0 {
		body.OrdersBefore, body.MissingBefore = &n.Before, &n.BeforeMissing
	}
	return body
}

func (o ordersAPI) get(ctx context.Context, in *OrderInput) (*output[orderTimelineBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	order, err := o.orders.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	entries, err := o.orders.Timeline(ctx, id)
	if err != nil {
		return nil, err
	}
	why, err := o.orders.WhyNoCourier(ctx, order, entries)
	if err != nil {
		return nil, err
	}
	body := orderTimelineBody{newOrderBody(order), newNoCourierBody(why), make([]timelineEntryBody, len(entries))} // never null
	for i, e := range entries {
		body.Timeline[i] = timelineEntryBody{e.At.UTC(), string(e.State), e.Source, e.Reason, e.CourierID, e.Courier, e.Deadline.UTC()}
	}
	return respond(body, nil)
}

type assignOrderBody struct {
	CourierID int64 `json:"courier_id,omitempty" minimum:"1" doc:"default: the available courier with the fewest deliveries" example:"7"`
}

type assignOrderInput struct {
	OrderInput

	Body *assignOrderBody
}

func (o ordersAPI) assign(ctx context.Context, in *assignOrderInput) (*output[OrderBody], error) {
	var courierID int64
	if in.Body != nil {
		courierID = in.Body.CourierID
	}
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	order, err := o.orders.EnsureAssigned(ctx, id, courierID)
	return respond(newOrderBody(order), err)
}

type reasonBody struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"kept in the order's timeline, so do not include personal data (names, phones, addresses)" example:"the scooter broke down"`
}

// orderReasonInput is an order and why a command is given.
type orderReasonInput struct {
	OrderInput

	Body *reasonBody
}

func (in orderReasonInput) reason() string {
	if in.Body == nil {
		return ""
	}
	return in.Body.Reason
}

func (o ordersAPI) unassign(ctx context.Context, in *orderReasonInput) (*output[OrderBody], error) {
	return o.command(ctx, in.OrderInput, func(id courier.OrderID) error {
		_, err := o.orders.Unassign(ctx, id, in.reason())
		return err
	})
}

func (o ordersAPI) release(ctx context.Context, in *OrderInput) (*output[OrderBody], error) {
	return o.command(ctx, *in, func(id courier.OrderID) error { return o.orders.Release(ctx, id) })
}

func (o ordersAPI) cancel(ctx context.Context, in *orderReasonInput) (*output[OrderBody], error) {
	return o.command(ctx, in.OrderInput, func(id courier.OrderID) error { return o.orders.Cancel(ctx, id, in.reason()) })
}

type recheckedOrderBody struct {
	OrderBody

	ServiceOrder string `json:"service_order" enum:"found,not_found" doc:"whether service-order has the order"`
}

func (o ordersAPI) recheck(ctx context.Context, in *OrderInput) (*output[recheckedOrderBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	found, err := o.orders.Recheck(ctx, id)
	if err != nil {
		return nil, err
	}
	order, err := o.orders.Get(ctx, id)
	body := recheckedOrderBody{newOrderBody(order), "not_found"}
	if found {
		body.ServiceOrder = "found"
	}
	return respond(body, err)
}

// command runs a command on an order and returns the order after it.
func (o ordersAPI) command(ctx context.Context, in OrderInput, run func(courier.OrderID) error) (*output[OrderBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	if err := run(id); err != nil {
		return nil, err
	}
	order, err := o.orders.Get(ctx, id)
	return respond(newOrderBody(order), err)
}

// registerDeliveries adds the routes of the course.
func (a *api) registerDeliveries(o ordersAPI) {
	errs := []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}
	register(a, operate, huma.Operation{
		OperationID: "assign-delivery", Method: http.MethodPost, Path: "/delivery/assign", Tags: []string{"deliveries"},
		Summary: "Assign an order to a courier",
		Description: "The order is fetched from service-order first, and goes to the courier ahead of the waiting queue. " + assignRefused +
			"already has a courier, has ended or has an unknown status. 404: service-order has no such order, or there is no such courier. " + notAvailable,
		Errors: errs,
	}, o.assignDelivery)
	register(a, operate, huma.Operation{
		OperationID: "unassign-delivery", Method: http.MethodPost, Path: "/delivery/unassign", Tags: []string{"deliveries"},
		Summary: "Unassign an order and put it on hold",
		Description: "The courier becomes available at once; the order stays on hold until it is assigned, released (POST /api/v1/orders/{order_id}/release) or ends. " +
			"This also works for an order that service-order no longer has. 409: the order has no courier. " + noSuchOrder + notAvailable,
		Errors: errs,
	}, o.unassignDelivery)
}

type assignDeliveryBody struct {
	OrderID   orderID `json:"order_id"`
	CourierID int64   `json:"courier_id,omitempty" minimum:"1" doc:"default: the available courier with the fewest deliveries"`
}

type assignmentBody struct {
	CourierID        int64     `json:"courier_id" example:"7"`
	OrderID          string    `json:"order_id"`
	TransportType    string    `json:"transport_type" enum:"on_foot,scooter,car"`
	DeliveryDeadline time.Time `json:"delivery_deadline"`
}

func (o ordersAPI) assignDelivery(ctx context.Context, in *input[assignDeliveryBody]) (*output[assignmentBody], error) {
	id, err := in.Body.OrderID.parse("body.order_id")
	if err != nil {
		return nil, err
	}
	a, err := o.orders.Assign(ctx, id, in.Body.CourierID)
	return respond(assignmentBody{a.CourierID, string(a.OrderID), string(a.Transport), a.Deadline.UTC()}, err)
}

type unassignDeliveryBody struct {
	OrderID orderID `json:"order_id"`
	Reason  string  `json:"reason,omitempty" maxLength:"200" doc:"why the order is put on hold; kept in the order's timeline, so do not include personal data (names, phones, addresses)"`
}

type unassignmentBody struct {
	OrderID   string `json:"order_id"`
	Status    string `json:"status" enum:"unassigned"`
	CourierID int64  `json:"courier_id" example:"7"`
}

func (o ordersAPI) unassignDelivery(ctx context.Context, in *input[unassignDeliveryBody]) (*output[unassignmentBody], error) {
	id, err := in.Body.OrderID.parse("body.order_id")
	if err != nil {
		return nil, err
	}
	courierID, err := o.orders.Unassign(ctx, id, in.Body.Reason)
	return respond(unassignmentBody{string(in.Body.OrderID), "unassigned", courierID}, err)
}
