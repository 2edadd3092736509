package rest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/records"
)

// fakeRecords is the use case of records.
type fakeRecords struct{ *fake }

func (r fakeRecords) Read(ctx context.Context, q records.Query) ([]records.Described, error) {
	r.requested = fmt.Sprintf("%d %d %d", q.Partition, q.Offset, q.Limit)
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
