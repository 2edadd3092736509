package rest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
)

const annaFull = `{"id":3,"name":"Anna <&>","phone":"+79000000001","status":"busy","transport_type":"on_foot","pause_after_delivery":false,"deliveries":0}`

// courierExchanges are the couriers under /api/v1.
func courierExchanges() []exchange {
	const (
		three   = "/api/v1/couriers/3"
		created = `{"id":7,"name":"Anna","phone":"+79000000001","status":"paused","transport_type":"scooter","pause_after_delivery":false,"deliveries":0}`
	)
	carries := courier.Courier{ID: 1, Name: "A", Phone: "1", Status: courier.StatusBusy, Transport: courier.Car, PauseAfter: true, OrderID: "o-1", Deliveries: 5}
	patch := func(name, body string, status int, is, want string) exchange {
		return exchange{name: name, line: "PATCH " + three, body: body, status: status, is: is, want: want}
	}
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	return []exchange{
		{
			name: "deliveries of a day", line: "GET " + three + "/deliveries?day=2026-11-30", status: 200, is: jsonType,
			fake: fake{day: couriers.Day{Until: noon.Add(time.Hour), Deliveries: []couriers.Delivery{
				{OrderID: "o-1", State: courier.StateCompleted, To: noon}, {OrderID: "o-2", State: courier.StateAssigned, From: noon, Deadline: noon},
			}}},
			want: `{"day":"2026-11-30","zone":"UTC","until":"2026-11-30T13:00:00Z","items":[{"order_id":"o-1","state":"completed","to":"2026-11-30T12:00:00Z"},` +
				`{"order_id":"o-2","state":"assigned","from":"2026-11-30T12:00:00Z","deadline":"2026-11-30T12:00:00Z"}]}`,
		},
		{name: "deliveries of a day: none", line: "GET " + three + "/deliveries?day=2026-11-30", status: 200, is: jsonType, want: `{"day":"2026-11-30","zone":"UTC","items":[]}`},
		{
			name: "deliveries of no day", line: "GET " + three + "/deliveries", status: 422, is: problemType,
			want: invalid(`{"location":"query.day","message":"required query parameter is missing"}`),
		},
		{name: "couriers v1: none", line: "GET /api/v1/couriers", status: 200, is: jsonType, want: `{"items":[]}`},
		{
			name: "couriers v1: one", line: "GET /api/v1/couriers?status=busy&transport_type=car&limit=100", fake: fake{all: []courier.Courier{carries}},
			status: 200, is: jsonType,
			want: `{"items":[{"id":1,"name":"A","phone":"1","status":"busy","transport_type":"car","pause_after_delivery":true,"order_id":"o-1","deliveries":5}]}`,
		},
		{
			name: "couriers v1: bad filters", line: "GET /api/v1/couriers?status=gone&limit=101&transport_type=bike&page=2", status: 422, is: problemType,
			want: invalid(`{"location":"query.page","message":"unknown query parameter"}`),
		},
		{
			name: "couriers v1: bad limit", line: "GET /api/v1/couriers?status=gone&limit=101", status: 422, is: problemType,
			want: invalid(`{"location":"query.limit","message":"expected number <= 100"},` +
				`{"location":"query.status","message":"expected value to be one of \"available, busy, paused\""}`),
		},
		{
			name: "couriers v1: empty filters", line: "GET /api/v1/couriers?cursor=&status=&limit=", status: 422, is: problemType,
			want: invalid(`{"location":"query.limit","message":"empty"},{"location":"query.status","message":"empty"}`),
		},
		{
			name: "couriers v1: filters twice", line: "GET /api/v1/couriers?status=busy&limit=&status=paused&transport_type=car&transport_type=car", status: 422, is: problemType,
			want: invalid(`{"location":"query.limit","message":"empty"},{"location":"query.status","message":"given more than once"},` +
				`{"location":"query.transport_type","message":"given more than once"}`),
		},
		{name: "couriers v1: empty cursor", line: "GET /api/v1/couriers?cursor=", status: 200, is: jsonType, want: `{"items":[]}`},
		{
			name: "couriers v1: forged cursor", line: "GET /api/v1/couriers?cursor=x", status: 422, is: problemType,
			want: invalid(`{"location":"query.cursor","message":"not a cursor of this list"}`),
		},
		{name: "courier v1", line: "GET " + three, status: 200, is: jsonType, want: annaFull},
		{name: "courier v1: not found", line: "GET " + three, fake: fake{err: courier.ErrNotFound}, status: 404, is: problemType, want: problemBody("courier_not_found")},
		{name: "courier v1: bad id", line: "GET /api/v1/couriers/x", status: 422, is: problemType, want: invalid(`{"location":"path.courier_id","message":"invalid integer"}`)},
		{name: "created", line: "POST /api/v1/couriers", body: anna, status: 201, is: jsonType, want: created},
		{
			name: "created before", line: "POST /api/v1/couriers", body: strings.Replace(anna, "Anna", "Hanna", 1), status: 200, is: jsonType,
			want: strings.Replace(created, "Anna", "Hanna", 1),
		},
		{name: "create: phone already registered", line: "POST /api/v1/couriers", body: anna, fake: fake{err: courier.ErrPhoneRegistered}, status: 409, is: problemType, want: problemBody("phone_registered")},
		patch("changed", `{"name":"B","transport_type":"car"}`, 200, jsonType,
			strings.NewReplacer("Anna <&>", "B", "on_foot", "car").Replace(annaFull)),
		patch("change: nothing", `{}`, 200, jsonType, annaFull),
		patch("change: null is absent", `{"name":null}`, 200, jsonType, annaFull),
		patch("change: status", `{"status":"paused"}`, 422, problemType, invalid(`{"location":"body.status","message":"unexpected property"}`)),
		{name: "paused after", line: "POST " + three + "/pause", body: `{"after_delivery":true}`, status: 200, is: jsonType, want: strings.Replace(annaFull, "false", "true", 1)},
		{name: "pause, no body", line: "POST " + three + "/pause", status: 200, is: jsonType, want: annaFull},
		{name: "pause: busy", line: "POST " + three + "/pause", fake: fake{err: courier.ErrBusy}, status: 409, is: problemType, want: problemBody("courier_busy")},
		{name: "resumed", line: "POST " + three + "/resume", status: 200, is: jsonType, want: strings.Replace(annaFull, "busy", "available", 1)},
		{name: "deleted", line: "DELETE " + three, status: 204},
		{name: "delete: busy", line: "DELETE " + three, fake: fake{err: courier.ErrBusy}, status: 409, is: problemType, want: problemBody("courier_busy")},
		{
			name: "delete: ETag does not match", line: "DELETE " + three, headers: []string{`If-Match: "old"`},
			status: 412, is: problemType, want: problemBody("precondition_failed"),
		},
		{
			name: "update: ETag does not match", line: "PUT /courier", body: `{"id":3}`, headers: []string{`If-Match: "old"`},
			status: 412, is: problemType, want: problemBody("precondition_failed"),
		},
	}
}

// TestIfMatch changes a courier by every route, with the ETag as read, another one, a
// weak one, and *.
func TestIfMatch(t *testing.T) {
	h := handler(new(fake), io.Discard)
	const three = "/api/v1/couriers/3"
	etag := do(h, request(t, "GET "+three, "")).Header().Get("ETag")
	if len(etag) < 10 || !strings.HasPrefix(etag, `"`) {
		t.Fatalf("ETag %q", etag)
	}
	if got := do(h, request(t, "GET /courier/3", "")).Header().Get("ETag"); got != etag {
		t.Errorf("GET /courier/3: ETag %q, want %q", got, etag)
	}
	tests := map[string]bool{
		etag: true, "*": true, `"x", ` + etag: true, `"x"`: false, "W/" + etag: false, strings.Trim(etag, `"`): false,
	}
	for ifMatch, accepted := range tests {
		for line, body := range map[string]string{
			"PATCH " + three: `{"name":"B"}`, "POST " + three + "/pause": "", "POST " + three + "/resume": "", "DELETE " + three: "",
			"PUT /courier": `{"id":3,"name":"B"}`,
		} {
			w := do(h, request(t, line, body, "If-Match: "+ifMatch))
			if (w.Code < 300) != accepted || (w.Code == http.StatusPreconditionFailed) == accepted {
				t.Errorf("%s, If-Match %s: %d %s", line, ifMatch, w.Code, w.Body)
			}
		}
	}
	changed := do(h, request(t, "PATCH "+three, `{"name":"B"}`)).Header().Get("ETag")
	if put := do(h, request(t, "PUT /courier", `{"id":3,"name":"B"}`)).Header().Get("ETag"); changed == etag || put != changed {
		t.Errorf("ETags after the same change %q and %q, before it %q", changed, put, etag)
	}
}

func TestCourierPages(t *testing.T) {
	f := &fake{all: []courier.Courier{{ID: 4}, {ID: 9}, {ID: 10}}}
	h := handler(f, io.Discard)
	var page struct {
		Items      []struct{ ID int64 } `json:"items"`
		NextCursor string               `json:"next_cursor"`
	}
	w := do(h, request(t, "GET /api/v1/couriers?limit=2&status=paused", ""))
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Items) != 2 || page.NextCursor == "" {
		t.Fatalf("%s, %v", w.Body, err)
	}
	do(h, request(t, "GET /api/v1/couriers?cursor="+page.NextCursor, ""))
	if want := "{Status: Transport:} after 9, 51"; f.requested != want {
		t.Errorf("requested for %s, want %s", f.requested, want)
	}
}

// TestUpdateCourier is PUT /courier: omitted fields stay as they are.
func TestUpdateCourier(t *testing.T) {
	w := do(handler(new(fake), io.Discard), request(t, "PUT /courier", `{"id":3,"phone":"5","status":"paused"}`))
	want := `{"id":3,"name":"Anna <&>","phone":"5","status":"paused","transport_type":"on_foot"}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || got != want {
		t.Errorf("%d %s, want %s", w.Code, got, want)
	}
}
