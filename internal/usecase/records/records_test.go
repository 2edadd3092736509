package records_test

import (
	"context"
	"testing"
	"time"

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
		use := records.New(world, world)
		for range 2 {
			got, err := use.Read(t.Context(), records.Latest(10))
			if err != nil || len(got) != 1 || got[0].Outcome != want {
				t.Errorf("%s: %+v, %v", want, got, err)
			}
		}
		if world.reads != 1 {
			t.Errorf("%s: two clients read the topic %d times", want, world.reads)
		}
	}
}
