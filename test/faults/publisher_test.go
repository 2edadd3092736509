package faults

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/internal/dev/ordersim"
)

// publisher publishes the events of service-order and retries for ever. The simulator's
// own producer gives up after some tries, like the real service-order; then a test could
// not distinguish that from a loss in the service. A test loses events on purpose only.
type publisher struct {
	*kgo.Client
	refused atomic.Pointer[error] // the error of an event that was not published
}

func newPublisher(broker string) (*publisher, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), // the events of an order are on any partition
		kgo.ProducerLinger(0),
		// The embedded broker may never answer a request on a busy machine: retry soon.
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

// allPublished waits until the broker has every event, and fails when it refused one:
// that is a fault of the test.
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
