package rest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/records"
)

// fakeRecords is the use case of records.
type fakeRecords struct{ *fake }

// The names are those of the defaults, since docs/openapi.json has them.
func (r fakeRecords) Topics() []string {
	return []string{"order.status.changed", "courier.assignment.changed"}
}

func (r fakeRecords) Read(ctx context.Context, topic string, q records.Query) ([]records.Described, error) {
	r.requested = fmt.Sprintf("%s%d %d %d", topic, q.Partition, q.Offset, q.Limit)
	if topic == "courier.assignment.changed" {
		return []records.Described{{
			Record:  records.Record{Partition: 2, Offset: 8, At: time.Unix(0, 0), Key: []byte("o-1"), Value: []byte("{}"), Size: 2, Headers: []deadletters.Header{{Key: []byte("ce_id"), Value: []byte("o-1.9")}}},
			OrderID: "o-1", Event: records.Event{Type: "assigned", CourierID: 3, Sequence: 9},
		}}, r.answer(ctx)
	}
	return []records.Described{{
		Record: records.Record{Partition: 1, Offset: 7, At: time.Unix(0, 0), Value: []byte("{}"), Size: 2}, OrderID: "o-1", Status: "created",
		Outcome: records.Applied, Fate: records.Fate{Applied: courier.StateWaiting, State: courier.StateAssigned},
	}}, r.answer(ctx)
}

func (r fakeRecords) Publish(ctx context.Context, _, value []byte) (deadletters.RecordPosition, error) {
	r.requested = string(value)
	return deadletters.RecordPosition{Partition: 4, Offset: 5}, r.answer(ctx)
}

// TestRecords: a page of records with their outcomes, and publishing one.
func TestRecords(t *testing.T) {
	f := new(fake)
	h := handler(f, io.Discard)
	const want = `{"items":[{"partition":1,"offset":7,"at":"1970-01-01T00:00:00Z","key":null,"value":"e30=","value_bytes":2,"headers":[],"order_id":"o-1","status":"created",` +
		`"outcome":"applied","state":"assigned","applied_state":"waiting"}]}` + "\n"
	if got := do(h, request(t, "GET /api/v1/records?partition=1&offset=7&limit=3", "")).Body.String(); got != want || f.requested != "1 7 3" {
		t.Errorf("%s asked for %s", got, f.requested)
	}
	if w := do(h, request(t, "POST /api/v1/records", `{"value":"{"}`)); w.Code != http.StatusCreated || f.requested != "{" {
		t.Errorf("publish: %d %s, published %q", w.Code, w.Body, f.requested)
	}
}

// TestAssignmentEvents: the other topic by its name, in the document and in the session, which
// lets the page offer it. No other topic is accepted.
func TestAssignmentEvents(t *testing.T) {
	f := new(fake)
	h := handler(f, io.Discard)
	const path = "/api/v1/records?topic="
	const want = `{"items":[{"partition":2,"offset":8,"at":"1970-01-01T00:00:00Z","key":"by0x","value":"e30=","value_bytes":2,` +
		`"headers":[{"key":"Y2VfaWQ=","value":"by0xLjk="}],"order_id":"o-1","type":"assigned","courier_id":3,"sequence":9}]}` + "\n"
	if got := do(h, request(t, "GET "+path+"courier.assignment.changed", "")).Body.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for _, bad := range []string{"payments", "", "order.status.changed&topic=courier.assignment.changed", "Order.status.changed"} {
		if w := do(h, request(t, "GET "+path+bad, "")); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"location":"query.topic"`) {
			t.Errorf("topic=%s: %d %s", bad, w.Code, w.Body)
		}
	}
	const names = `["order.status.changed","courier.assignment.changed"]`
	if got := do(h, request(t, "GET /api/v1/session", "")).Body.String(); !strings.Contains(got, `"topics":`+names) {
		t.Errorf("session: %s", got)
	}
	if got := do(h, request(t, "GET /openapi.json", "")).Body.String(); !strings.Contains(got, `"enum":`+names) {
		t.Error("the document does not name the topics")
	}
	f.err = fmt.Errorf("%w: broker-1:9092 refuses", records.ErrForbidden)
	if w := do(h, request(t, "GET "+path+"courier.assignment.changed", "")); w.Code != http.StatusForbidden ||
		!strings.Contains(w.Body.String(), `"code":"records_forbidden"`) || !strings.Contains(w.Body.String(), "READ") || strings.Contains(w.Body.String(), "broker-1") {
		t.Errorf("without the right: %d %s", w.Code, w.Body)
	}
}
