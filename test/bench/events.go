package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// orderRange is the orders from..to-1.
type orderRange struct{ from, to int }

func (r orderRange) len() int { return r.to - r.from }

// supply is how many orders have been given out.
type supply int

// next gives out n orders that nobody has had.
func (s *supply) next(n int) orderRange {
	from := int(*s)
	*s += supply(n)
	return orderRange{from, from + n}
}

// event is a record without a key, so that it goes to any partition.
func event(order int, status string) *kgo.Record {
	return &kgo.Record{Value: eventValue(order, status)}
}

func eventValue(order int, status string) []byte {
	return fmt.Appendf(nil, `{"order_id":%q,"status":%q,"created_at":"2026-01-02T03:04:05Z"}`, orderID(order), status)
}

// events are copies events of each order.
func events(r orderRange, status string, copies int) []*kgo.Record {
	records := make([]*kgo.Record, 0, r.len()*copies)
	for i := r.from; i < r.to; i++ {
		for range copies {
			records = append(records, event(i, status))
		}
	}
	return records
}

// shuffled puts events into another order, the same in every run.
func shuffled(records []*kgo.Record) []*kgo.Record {
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(records), func(i, j int) { //nolint:gosec // an order of events
		records[i], records[j] = records[j], records[i]
	})
	return records
}

// newPublisher returns the client that publishes: one that costs little beside what
// is measured, and sends at once, in batches of the size that Kafka's own producer
// makes. (Of batches beyond a fetch a consumer gets one partition's at a time.)
func newPublisher(kafka string) (*kgo.Client, error) {
	return kgo.NewClient(
		kgo.SeedBrokers(kafka), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(16<<10),
	)
}

// publish returns when the broker has all events.
func (s *stack) publish(ctx context.Context, records []*kgo.Record) error {
	if err := s.publisher.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("publish events: %w", err)
	}
	return nil
}

// publishSteadily publishes one created event of each order, rate a second,
// whatever becomes of those before: an open loop. It returns the moment at which
// each was due, which is where its latency begins also when the producer is late.
func (s *stack) publishSteadily(ctx context.Context, topic string, r orderRange, rate int) (due []time.Time, err error) {
	var published kgo.FirstErrPromise
	began := time.Now()
	for i := range r.len() {
		at := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return nil, fmt.Errorf("publish events: %w", context.Cause(ctx))
		}
		record := event(r.from+i, statusCreated)
		record.Topic = topic
		s.publisher.Produce(ctx, record, published.Promise())
		due = append(due, at)
	}
	if err := published.Err(); err != nil {
		return nil, fmt.Errorf("publish events: %w", err)
	}
	return due, nil
}
