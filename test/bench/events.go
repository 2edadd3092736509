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

func (r orderRange) halves() (first, second orderRange) {
	middle := r.from + r.len()/2
	return orderRange{r.from, middle}, orderRange{middle, r.to}
}

func (r orderRange) ids() []string {
	ids := make([]string, 0, r.len())
	for i := r.from; i < r.to; i++ {
		ids = append(ids, orderID(i))
	}
	return ids
}

// allocator gives out unused orders; its value is how many are used.
type allocator int

func (a *allocator) next(n int) orderRange {
	from := int(*a)
	*a += allocator(n)
	return orderRange{from, from + n}
}

func eventValue(order int, status string) []byte {
	return fmt.Appendf(nil, `{"order_id":%q,"status":%q,"created_at":"2026-01-02T03:04:05Z"}`, orderID(order), status)
}

// events returns copies events of each order, without a key, so that they go to
// any partition.
func events(r orderRange, status string, copies int) []*kgo.Record {
	records := make([]*kgo.Record, 0, r.len()*copies)
	for i := r.from; i < r.to; i++ {
		for range copies {
			records = append(records, &kgo.Record{Value: eventValue(i, status)})
		}
	}
	return records
}

// shuffled shuffles records within windows, the same way in every run.
func shuffled(records []*kgo.Record, window int) []*kgo.Record {
	random := rand.New(rand.NewPCG(1, 1))
	for from := 0; from < len(records); from += window {
		w := records[from:min(from+window, len(records))]
		random.Shuffle(len(w), func(i, j int) { w[i], w[j] = w[j], w[i] })
	}
	return records
}

// newPublisher returns a producer that costs little CPU and sends at once, in
// batches of the size of Kafka's own producer. From batches larger than a fetch a
// consumer would get one partition at a time.
func newPublisher(kafka string) (*kgo.Client, error) {
	return kgo.NewClient(
		kgo.SeedBrokers(kafka), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(16<<10),
	)
}

// publish returns when the broker has acknowledged all events.
func (s *stack) publish(ctx context.Context, records []*kgo.Record) error {
	if err := s.publisher.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("publish events: %w", err)
	}
	return nil
}

// publishSteadily publishes one created event per order at a fixed rate, whatever
// the state of earlier ones: an open loop. It returns the moment each was due,
// where its latency begins even if the producer is late.
func (s *stack) publishSteadily(ctx context.Context, topic string, r orderRange, rate int) (due []time.Time, err error) {
	var published kgo.FirstErrPromise
	start := time.Now()
	for i := range r.len() {
		at := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return nil, fmt.Errorf("publish events: %w", context.Cause(ctx))
		}
		record := &kgo.Record{Topic: topic, Value: eventValue(r.from+i, statusCreated)}
		s.publisher.Produce(ctx, record, published.Promise())
		due = append(due, at)
	}
	if err := published.Err(); err != nil {
		return nil, fmt.Errorf("publish events: %w", err)
	}
	return due, nil
}
