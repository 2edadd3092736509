package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
)

// fakeOrders has one order, a-1, assigned to courier 7 and overdue.
type fakeOrders struct{ *fake }

func at(minute int) time.Time {
	return time.Date(2026, 1, 2, 6, minute, 5, 0, time.FixedZone("", 3*3600))
}

func theOrder() orders.Order {
	return orders.Order{
		OrderID: "a-1", State: courier.StateAssigned, CreatedAt: at(0), UpdatedAt: at(1),
		Delivery: orders.Delivery{CourierID: 7, CourierName: "Anna", AssignedAt: at(1), Deadline: at(6), Overdue: true},
	}
}

const theOrderBody = `{"order_id":"a-1","state":"assigned","first_seen_at":"2026-01-02T03:00:05Z","updated_at":"2026-01-02T03:01:05Z","overdue":true,` +
	`"delivery":{"courier_id":7,"courier_name":"Anna","assigned_at":"2026-01-02T03:01:05Z","deadline":"2026-01-02T03:06:05Z"}}`

func (f fakeOrders) Page(ctx context.Context, list orders.List, after orders.PageKey, limit int) ([]orders.Listed, error) {
	f.record(func() { f.requested = fmt.Sprintf("%q after %q %q, %d", list, after.Key, after.OrderID, limit) })
	held := orders.Order{
		OrderID: "b", State: courier.StateHeld, OrderCreatedAt: at(0), CreatedAt: at(0), UpdatedAt: at(1), HeldReason: "ill", MissingSince: at(2),
		Recheck: orders.Recheck{At: at(3), Reason: orderevent.ReasonMissing, Attempts: 2, Error: "404"},
	}
	page := []orders.Listed{{Order: theOrder(), PageKey: orders.PageKey{Key: "k", OrderID: "a-1"}}, {Order: held}}
	return page[:min(limit, 2)], f.answer(ctx)
}

func (f fakeOrders) Get(ctx context.Context, _ courier.OrderID) (orders.Order, error) {
	return theOrder(), f.answer(ctx)
}

func (f fakeOrders) Timeline(ctx context.Context, _ courier.OrderID) ([]orders.TimelineEntry, error) {
	return []orders.TimelineEntry{
		{At: at(0), State: courier.StateWaiting, Source: "3@42"},
		{At: at(1), State: courier.StateAssigned, Source: "match", CourierID: 7, Courier: "Anna", Deadline: at(6), Reason: "because"},
	}, f.answer(ctx)
}

func (f fakeOrders) Assign(ctx context.Context, id courier.OrderID, courierID int64) (orderevent.Assignment, error) {
	return orderevent.Assignment{OrderID: id, CourierID: max(courierID, 7), Transport: courier.Car, Deadline: at(4)}, f.answer(ctx)
}

func (f fakeOrders) EnsureAssigned(ctx context.Context, id courier.OrderID, courierID int64) (orders.Order, error) {
	f.record(func() { f.requested = fmt.Sprint("assign ", id, " ", courierID) })
	return theOrder(), f.answer(ctx)
}

func (f fakeOrders) Unassign(ctx context.Context, id courier.OrderID, reason string) (int64, error) {
	f.record(func() { f.requested = fmt.Sprint("unassign ", id, " ", reason) })
	return 7, f.answer(ctx)
}

func (f fakeOrders) Release(ctx context.Context, _ courier.OrderID) error { return f.answer(ctx) }

func (f fakeOrders) Cancel(ctx context.Context, id courier.OrderID, reason string) error {
	f.record(func() { f.requested = fmt.Sprint("cancel ", id, " ", reason) })
	return f.answer(ctx)
}

func (f fakeOrders) Recheck(ctx context.Context, _ courier.OrderID) (bool, error) {
	return true, f.answer(ctx)
}

func (f fakeOrders) WhyNoCourier(ctx context.Context, _ orders.Order, _ []orders.TimelineEntry) (*orders.NoCourier, error) {
	return nil, f.answer(ctx)
}

func orderExchanges() []exchange {
	const (
		path = "/api/v1/orders"
		one  = path + "/a-1"
		held = `{"order_id":"b","state":"held","order_created_at":"2026-01-02T03:00:05Z","first_seen_at":"2026-01-02T03:00:05Z","updated_at":"2026-01-02T03:01:05Z",` +
			`"overdue":false,"held_reason":"ill","missing_since":"2026-01-02T03:02:05Z","recheck":{"at":"2026-01-02T03:03:05Z","reason":"missing","attempts":2,"error":"404"}}`
		timeline = `,"timeline":[{"at":"2026-01-02T03:00:05Z","state":"waiting","source":"3@42"},` +
			`{"at":"2026-01-02T03:01:05Z","state":"assigned","source":"match","reason":"because","courier_id":7,"courier_name":"Anna","deadline":"2026-01-02T03:06:05Z"}]}`
	)
	all := []exchange{
		{name: "orders", line: "GET " + path, status: 200, is: jsonType, want: `{"items":[` + theOrderBody + `,` + held + `]}`},
		{name: "orders: bad state", line: "GET " + path + "?state=lost", status: 422, is: problemType, want: invalid(
			`{"location":"query.state","message":"expected value to be one of \"active, waiting, assigned, overdue, pending_recheck, missing, held, completed, cancelled\""}`)},
		{name: "orders: bad cursor", line: "GET " + path + "?cursor=x", status: 422, is: problemType, want: invalid(`{"location":"query.cursor","message":"not a cursor of this list"}`)},
		{
			name: "orders: forged cursor", line: "GET " + path + "?cursor=e30", fake: fake{err: orders.ErrBadPageKey}, status: 422, is: problemType,
			want: invalid(`{"location":"query.cursor","message":"not a cursor of this list"}`),
		},
		{name: "orders: storage down", line: "GET " + path, fake: fake{err: courier.ErrUnavailable}, status: 503, is: problemType, want: problemBody("storage_unavailable"), retry: "2"},
		{name: "order", line: "GET " + one, status: 200, is: jsonType, want: strings.TrimSuffix(theOrderBody, "}") + timeline},
		{name: "order: unknown", line: "GET " + one, fake: fake{err: courier.ErrOrderUnknown}, status: 404, is: problemType, want: problemBody("order_unknown")},
		{name: "order: bad id", line: "GET " + path + "/a.b", status: 422, is: problemType, want: invalid(`{"location":"path.order_id","message":"expected string to match pattern ^[A-Za-z0-9_-]{1,64}$"}`)},
		{name: "assign an order: bad courier", line: "POST " + one + "/assign", body: `{"courier_id":0}`, status: 422, is: problemType, want: invalid(`{"location":"body.courier_id","message":"expected number >= 1"}`)},
		{name: "assign an order: already assigned", line: "POST " + one + "/assign", fake: fake{err: courier.ErrAlreadyAssigned}, status: 409, is: problemType, want: problemBody("order_already_assigned")},
		{name: "release an order: not held", line: "POST " + one + "/release", fake: fake{err: courier.ErrNotHeld}, status: 409, is: problemType, want: problemBody("order_not_held")},
		{name: "recheck: unknown everywhere", line: "POST " + one + "/recheck", fake: fake{err: courier.ErrNoSuchOrder}, status: 404, is: problemType, want: problemBody("order_not_found")},
		{name: "recheck: service-order unavailable", line: "POST " + one + "/recheck", fake: fake{err: courier.ErrOrdersUnavailable}, status: 503, is: problemType, want: problemBody("order_service_unavailable"), retry: "2"},
	}
	for _, verb := range []string{"assign", "unassign", "release", "cancel"} {
		all = append(all, exchange{name: verb + " an order", line: "POST " + one + "/" + verb, status: 200, is: jsonType, want: theOrderBody})
	}
	return append(all,
		exchange{name: "recheck an order", line: "POST " + one + "/recheck", status: 200, is: jsonType, want: strings.TrimSuffix(theOrderBody, "}") + `,"service_order":"found"}`},
		exchange{name: "cancel: service-order has it", line: "POST " + one + "/cancel", fake: fake{err: courier.ErrNotMissing}, status: 409, is: problemType, want: problemBody("order_not_missing")})
}

func TestOrderCommandArguments(t *testing.T) {
	f := new(fake)
	h := handler(f, io.Discard)
	for _, tt := range []struct{ verb, body, want string }{
		{"assign", `{"courier_id":9}`, "assign a-1 9"},
		{"assign", "", "assign a-1 0"},
		{"unassign", `{"reason":"ill"}`, "unassign a-1 ill"},
		{"unassign", "", "unassign a-1 "},
		{"cancel", `{"reason":"by phone"}`, "cancel a-1 by phone"},
		{"cancel", "", "cancel a-1 "},
	} {
		do(h, request(t, "POST /api/v1/orders/a-1/"+tt.verb, tt.body))
		if f.requested != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.verb, tt.body, f.requested, tt.want)
		}
	}
}

func TestOrderPages(t *testing.T) {
	f := new(fake)
	h := handler(f, io.Discard)
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	w := do(h, request(t, "GET /api/v1/orders?state=overdue&limit=1", ""))
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || page.NextCursor == "" || f.requested != `"overdue" after "" "", 2` {
		t.Fatalf("%s, %v, requested for %s", w.Body, err, f.requested)
	}
	do(h, request(t, "GET /api/v1/orders?state=overdue&cursor="+page.NextCursor, ""))
	if want := `"overdue" after "k" "a-1", 51`; f.requested != want {
		t.Errorf("requested for %s, want %s", f.requested, want)
	}
	do(h, request(t, "GET /api/v1/orders?state=active&missing=true", ""))
	if want := `"missing" after "" "", 51`; f.requested != want {
		t.Errorf("requested for %s, want %s", f.requested, want)
	}
	if w := do(h, request(t, "GET /api/v1/orders?state=held&cursor="+page.NextCursor, "")); w.Code != 422 {
		t.Errorf("a cursor of another list: %d", w.Code)
	}
}
