package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orders"
)

// Orders is the use case of looking after orders. Its errors match the sentinels
// of the domain.
type Orders interface {
	Page(ctx context.Context, list orders.List, after orders.Position, limit int) ([]orders.Listed, error)
	Get(ctx context.Context, id courier.OrderID) (orders.Order, []orders.Event, error)
	Assign(ctx context.Context, id courier.OrderID, courierID int64) (orders.Order, error)
	Unassign(ctx context.Context, id courier.OrderID, reason string) (orders.Order, error)
	Release(ctx context.Context, id courier.OrderID) (orders.Order, error)
	Look(ctx context.Context, id courier.OrderID) (orders.Order, error)
}

type ordersAPI struct{ orders Orders }

const (
	ordersPath = versioned + "/orders"
	orderPath  = ordersPath + "/{order_id}"
)

func (a *api) registerOrders(use Orders) {
	o := ordersAPI{use}
	register(a, read, huma.Operation{
		OperationID: "list-orders", Method: http.MethodGet, Path: ordersPath, Tags: []string{"orders"},
		Summary: "List orders",
		Description: "Without state, all of them by id. **waiting**: in line, the first first; **assigned**: by courier; " +
			"**late**: assigned and behind the deadline, the latest first; **looking**: to be looked at again, the soonest first; " +
			"**missing**: open here and unknown to service-order, the longest first (they are not among those waiting: nobody is sent out for them); " +
			"**held**: taken from a courier, the longest first; **completed**, **cancelled**: the last changed first.",
		Errors: []int{http.StatusServiceUnavailable},
	}, o.list)
	register(a, read, huma.Operation{
		OperationID: "get-order", Method: http.MethodGet, Path: orderPath, Tags: []string{"orders"},
		Summary:     "Get one order and what happened to it",
		Description: "timeline has what the order became, when, by whose doing and why, the earliest first; of more than 1,000 events the latest 1,000.",
		Errors:      []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, o.get)
	a.registerOrderCommands(o)
}

// OrderBody is an order as clients see it.
type OrderBody struct {
	OrderID        string        `json:"order_id" example:"8e1eda8f-7b6b-41a9-9b9c-66a2d6592647"`
	State          string        `json:"state" enum:"seen,waiting,assigned,held,completed,cancelled" doc:"seen: heard of, and not known yet what it is"`
	OrderCreatedAt *time.Time    `json:"order_created_at,omitempty" doc:"as service-order tells it"`
	FirstSeenAt    time.Time     `json:"first_seen_at" doc:"when it was first heard of here"`
	UpdatedAt      time.Time     `json:"updated_at"`
	Late           bool          `json:"late" doc:"it was or will be completed after its deadline"`
	Delivery       *deliveryBody `json:"delivery,omitempty" doc:"of an order that a courier has, or has delivered"`
	HeldReason     string        `json:"held_reason,omitempty" doc:"why it is held"`
	MissingSince   *time.Time    `json:"missing_since,omitempty" doc:"service-order answers 404 since then"`
	Look           *lookBody     `json:"look,omitempty" doc:"when service-order is asked again, and why"`
}

type deliveryBody struct {
	CourierID    int64      `json:"courier_id" example:"7"`
	WaitingSince *time.Time `json:"waiting_since,omitempty" doc:"since when the order had been known when it was assigned"`
	AssignedAt   time.Time  `json:"assigned_at"`
	Deadline     time.Time  `json:"deadline"`
	CompletedAt  *time.Time `json:"completed_at,omitempty"`
}

type lookBody struct {
	DueAt    time.Time `json:"due_at"`
	Reason   string    `json:"reason" enum:"missing,ahead,unknown_status,unavailable"`
	Attempts int       `json:"attempts" doc:"looks so far"`
	Error    string    `json:"error,omitempty" doc:"of the last one"`
}

func newOrderBody(o orders.Order) OrderBody {
	body := OrderBody{
		OrderID: string(o.OrderID), State: string(o.State), OrderCreatedAt: orNoTime(o.OrderCreatedAt),
		FirstSeenAt: o.CreatedAt.UTC(), UpdatedAt: o.UpdatedAt.UTC(), Late: o.Delivery.Late,
		HeldReason: o.HeldReason, MissingSince: orNoTime(o.MissingSince),
	}
	if d := o.Delivery; d.CourierID != 0 {
		body.Delivery = &deliveryBody{d.CourierID, orNoTime(d.WaitingSince), d.AssignedAt.UTC(), d.Deadline.UTC(), orNoTime(d.CompletedAt)}
	}
	if l := o.Look; !l.DueAt.IsZero() {
		body.Look = &lookBody{l.DueAt.UTC(), string(l.Reason), l.Attempts, l.Error}
	}
	return body
}

func orNoTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

type ordersInput struct {
	PageInput

	State string `query:"state" enum:"waiting,assigned,late,looking,missing,held,completed,cancelled" doc:"only these"`
}

// orderKey is where a page of orders ends. The list is in it, for each has keys
// of its own kind.
type orderKey struct {
	List orders.List     `json:"list"`
	Key  string          `json:"key"`
	ID   courier.OrderID `json:"id"`
}

type ordersOutput struct{ Body pageBody[OrderBody] }

func (o ordersAPI) list(ctx context.Context, in *ordersInput) (*ordersOutput, error) {
	list := orders.List(in.State)
	after, err := decodeCursor[orderKey](in.Cursor)
	if err != nil {
		return nil, err
	}
	notOurs := invalid("query.cursor", "not a cursor of this list")
	if in.Cursor != "" && after.List != list {
		return nil, notOurs
	}
	found, err := o.orders.Page(ctx, list, orders.Position{Key: after.Key, OrderID: after.ID}, in.Limit+1)
	if errors.Is(err, orders.ErrBadPosition) {
		return nil, notOurs
	}
	if err != nil {
		return nil, err
	}
	body := func(l orders.Listed) OrderBody { return newOrderBody(l.Order) }
	key := func(l orders.Listed) orderKey { return orderKey{list, l.Position.Key, l.Position.OrderID} }
	return &ordersOutput{newPage(found, in.Limit, body, key)}, nil
}

// eventBody is something that happened to an order.
type eventBody struct {
	At        time.Time  `json:"at"`
	State     string     `json:"state" doc:"what the order became" example:"assigned"`
	Source    string     `json:"source" doc:"whose doing it was: partition@offset of an event, or match, look-again, sweep, deadline, person:NAME" example:"3@1042"`
	Reason    string     `json:"reason,omitempty" example:"service-order says \"completed\""`
	CourierID int64      `json:"courier_id,omitempty" doc:"who got it, or had it" example:"7"`
	Deadline  *time.Time `json:"deadline,omitempty" doc:"of an assignment"`
}

type orderAndTimelineBody struct {
	OrderBody

	Timeline []eventBody `json:"timeline" nullable:"false"`
}

type orderAndTimelineOutput struct{ Body orderAndTimelineBody }

func (o ordersAPI) get(ctx context.Context, in *OrderInput) (*orderAndTimelineOutput, error) {
	order, events, err := o.orders.Get(ctx, courier.OrderID(in.OrderID))
	if err != nil {
		return nil, err
	}
	out := &orderAndTimelineOutput{orderAndTimelineBody{newOrderBody(order), make([]eventBody, len(events))}}
	for i, e := range events {
		out.Body.Timeline[i] = eventBody{e.At.UTC(), string(e.State), e.Source, e.Reason, e.CourierID, orNoTime(e.Deadline)}
	}
	return out, nil
}
