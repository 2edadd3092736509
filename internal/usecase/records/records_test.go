package records_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/records"
)

// topic has one record for each fate.
type topic struct {
	all   []records.Record
	fates []records.Fate
	reads int
}

func (t *topic) Name() string { return "orders" }

func (t *topic) Read(context.Context, records.Query) ([]records.Record, error) {
	t.reads++
	return t.all, nil
}

func (t *topic) Publish(context.Context, deadletters.Record) (deadletters.RecordPosition, error) {
	return deadletters.RecordPosition{}, nil
}

func (t *topic) Fates(context.Context, []records.Record, []courier.OrderID) ([]records.Fate, error) {
	return t.fates, nil
}

// TestOutcome: every fate has its outcome, and clients that follow the topic share one read.
func TestOutcome(t *testing.T) {
	created := []byte(`{"order_id":"o-1","status":"created"}`)
	for want, c := range map[records.Outcome]struct {
		record records.Record
		fate   records.Fate
	}{
		records.Pending:    {records.Record{Value: created}, records.Fate{State: courier.StateWaiting}},
		records.Applied:    {records.Record{Value: created}, records.Fate{State: courier.StateAssigned, Applied: courier.StateWaiting}},
		records.Deferred:   {records.Record{Value: created, Committed: true}, records.Fate{State: courier.StateSeen, RecheckAt: time.Now()}},
		records.Duplicate:  {records.Record{Value: created, Committed: true}, records.Fate{State: courier.StateAssigned}},
		records.Superseded: {records.Record{Value: created, Committed: true}, records.Fate{State: courier.StateCancelled}},
		records.DeadLetter: {records.Record{Value: []byte("{"), Committed: true}, records.Fate{DeadLetterID: 1}},
	} {
		world := &topic{all: []records.Record{c.record}, fates: []records.Fate{c.fate}}
		use := records.New(world, world, nil)
		for range 2 {
			got, err := use.Read(t.Context(), "", records.Latest(10))
			if err != nil || len(got) != 1 || got[0].Outcome != want {
				t.Errorf("%s: %+v, %v", want, got, err)
			}
		}
		if world.reads != 1 {
			t.Errorf("%s: two clients read the topic %d times", want, world.reads)
		}
	}
}

// assignments is the topic of assignment events.
type assignments []string

func (assignments) Name() string { return "assignments" }

func (values assignments) Read(context.Context, records.Query) ([]records.Record, error) {
	all := make([]records.Record, len(values))
	for i, v := range values {
		all[i] = records.Record{Offset: int64(i), Value: []byte(v)}
	}
	return all, nil
}

// TestAssignmentEvents come as they are, without an outcome and without the database, whatever
// another program publishes there. No other topic is read.
func TestAssignmentEvents(t *testing.T) {
	values := assignments{
		`{"event_id":"o-1.9007199254740993","type":"assigned","order_id":"o-1","courier_id":7,"sequence":9007199254740993}`,
		`{"type":"queued","order_id":"o-2","courier_id":null,"sequence":3}`,
		`{"type":5,"order_id":"///","courier_id":"x","sequence":1e99}`, `[]`, `{`, ``,
	}
	world := new(topic) // would describe no record
	use := records.New(world, world, values)
	got, err := use.Read(t.Context(), "assignments", records.Latest(10))
	if err != nil || len(got) != len(values) {
		t.Fatalf("%+v, %v", got, err)
	}
	want := make([]records.Described, len(values))
	for i, v := range values {
		want[i].Record = records.Record{Offset: int64(i), Value: []byte(v)}
	}
	want[0].OrderID, want[0].Event = "o-1", records.Event{Type: "assigned", CourierID: 7, Sequence: 9007199254740993}
	want[1].OrderID, want[1].Event = "o-2", records.Event{Type: "queued", Sequence: 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := use.Read(t.Context(), "orders", records.Latest(10)); err != nil || world.reads != 1 {
		t.Errorf("the order topic by its name: %v, %d reads", err, world.reads)
	}
	if _, err := use.Read(t.Context(), "payments", records.Latest(10)); !errors.Is(err, records.ErrNoTopic) {
		t.Errorf("another topic: %v", err)
	}
	if got := use.Topics(); !slices.Equal(got, []string{"orders", "assignments"}) {
		t.Errorf("topics %v", got)
	}
	without := records.New(world, world, nil)
	if _, err := without.Read(t.Context(), "assignments", records.Latest(10)); !errors.Is(err, records.ErrNoTopic) || len(without.Topics()) != 1 {
		t.Errorf("without the topic: %v, topics %v", err, without.Topics())
	}
}
