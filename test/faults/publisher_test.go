package faults

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/internal/ordersim"
)

// publisher puts the events of service-order into the topic, whatever befalls the
// broker: it tries for ever. The simulator's own producer gives an event up after
// some tries, as the real neighbour does; then nobody could tell whether the
// service lost it. What is to be lost is lost on purpose.
type publisher struct {
	*kgo.Client
	refused atomic.Pointer[error] // an event was given up all the same
}

func newPublisher(broker string) (*publisher, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), // an order's events lie anywhere
		kgo.ProducerLinger(0),
		// The embedded broker, on a machine with too much to do, may never answer a
		// request: it is sent again soon.
		kgo.ProduceRequestTimeout(2*time.Second), kgo.RequestTimeoutOverhead(2*time.Second),
	)
	return &publisher{Client: client}, err
}

// Publish implements ordersim.Publisher. It does not wait for the broker.
func (p *publisher) Publish(e ordersim.Event) error {
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	p.Produce(context.Background(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
		if err != nil {
			p.refused.Store(&err)
		}
	})
	return nil
}

// allPublished waits until the broker has every event, and fails when it does not
// take one: that would be the test's doing.
func (w *world) allPublished() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	if err := w.events.Flush(ctx); err != nil {
		w.Fatalf("%d events are not published yet: %v", w.events.BufferedProduceRecords(), err)
	}
	if err := w.events.refused.Load(); err != nil {
		w.Fatalf("an event could not be published: %v", *err)
	}
}
