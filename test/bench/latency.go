package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
)

type latency struct {
	Rate int     `json:"per_second"` // of events; 0: one after the other
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	Max  float64 `json:"max_ms"`
}

// histogram counts durations of 1 µs to 1 min with three digits.
type histogram struct{ *hdrhistogram.Histogram }

func newHistogram() histogram {
	return histogram{hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
}

func (h histogram) record(took time.Duration) error {
	return h.RecordValue(max(1, min(took.Microseconds(), h.HighestTrackableValue())))
}

func (h histogram) latency(rate int) latency {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return latency{rate, ms(h.ValueAtQuantile(50)), ms(h.ValueAtQuantile(99)), ms(h.Max())}
}

// steadyLoad is a fixed rate of events per second, one event per order.
type steadyLoad struct{ rate, seconds int }

// leadIn is how many seconds of a steady load precede the measurement: a service
// that has just started opens connections and prepares statements.
const leadIn = 3

func (l steadyLoad) lead() int   { return l.rate * leadIn }
func (l steadyLoad) orders() int { return l.lead() + l.rate*l.seconds }

// measureSteady measures from the moment each event was due until the COMMIT that
// assigned its order, by PostgreSQL's timestamp (track_commit_timestamp).
func (s *stack) measureSteady(ctx context.Context, pace steadyLoad, r orderRange, bar *progress) (h histogram, loaded result, err error) {
	h = newHistogram()
	meanwhile := func(context.Context) error { return nil }
	loaded, err = s.steady(ctx, pace, r, bar, meanwhile, func(_ time.Time, took time.Duration) error { return h.record(took) })
	return h, loaded, err
}

// steady runs a steady load, and meanwhile beside it. Then it passes to each when an event was
// due, and its latency.
func (s *stack) steady(ctx context.Context, pace steadyLoad, r orderRange, bar *progress,
	meanwhile func(context.Context) error, each func(due time.Time, took time.Duration) error,
) (loaded result, err error) {
	due := make(map[string]time.Time, r.len())
	l := load{name: fmt.Sprintf("%d per second", pace.rate), events: r.len(), journal: 2 * r.len()}
	l.drive = func(ctx context.Context) error {
		ended := make(chan error, 1)
		go func() { ended <- meanwhile(ctx) }()
		times, err := s.publishSteadily(ctx, topic, r, pace.rate)
		for i := pace.lead(); i < len(times); i++ {
			due[orderID(r.from+i)] = times[i]
		}
		return errors.Join(err, <-ended)
	}
	if loaded, err = l.run(ctx, s, bar); err != nil {
		return loaded, err
	}
	rows, err := s.pool.Query(ctx, "select order_id, pg_xact_commit_timestamp(xmin) from journal where state = 'assigned'")
	if err != nil {
		return loaded, fmt.Errorf("read commit times: %w", err)
	}
	var id string
	var at time.Time
	assigned := 0
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		if start, ok := due[id]; ok {
			assigned++
			return each(start, at.Sub(start))
		}
		return nil
	})
	if err == nil && assigned != len(due) {
		err = fmt.Errorf("%d of %d orders are assigned", assigned, len(due))
	}
	if err != nil {
		return loaded, fmt.Errorf("read commit times: %w", err)
	}
	return loaded, nil
}

// measureSingleGets measures one GET at a time, with no other load.
func (s *stack) measureSingleGets(ctx context.Context) (out latency, err error) {
	client, err := newOrderClient(s.orders.url(), 1)
	if err != nil {
		return out, err
	}
	defer client.Close()
	return oneByOne(func(i int) error {
		_, err := client.Get(ctx, courier.OrderID(orderID(i%len(s.orders.completed))))
		return err
	})
}

// measureSingleCommits measures one transaction of one row at a time, with no other load.
func (s *stack) measureSingleCommits(ctx context.Context) (out latency, err error) {
	if _, err := s.pool.Exec(ctx, "create table bench_commits (n bigint)"); err != nil {
		return out, err
	}
	return oneByOne(func(i int) error {
		_, err := s.pool.Exec(ctx, "insert into bench_commits values ($1)", i)
		return err
	})
}

func oneByOne(do func(i int) error) (out latency, err error) {
	h := newHistogram()
	for i := range 2000 {
		start := time.Now()
		if err := do(i); err != nil {
			return out, fmt.Errorf("one by one: %w", err)
		}
		if err := h.record(time.Since(start)); err != nil {
			return out, err
		}
	}
	return h.latency(0), nil
}

// measureKafka measures from the moment each event was due until a bare consumer
// has it, with no other load: the part that the service cannot influence.
func (s *stack) measureKafka(ctx context.Context, pace steadyLoad, partitions int) (out latency, err error) {
	const topic = "bench.alone"
	if err := s.kafka.CreateTopic(ctx, topic, partitions); err != nil {
		return out, err
	}
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Consumer.MaxWaitTime = 100 * time.Millisecond // as in the service
	consumer, err := sarama.NewConsumer([]string{s.kafka.Addr()}, config)
	if err != nil {
		return out, fmt.Errorf("kafka alone: %w", err)
	}
	defer func() { err = errors.Join(err, consumer.Close()) }()
	var mu sync.Mutex
	received := make(map[string]time.Time, pace.orders())
	all := make(chan struct{})
	for i := range int32(partitions) {
		claim, openErr := consumer.ConsumePartition(topic, i, sarama.OffsetOldest)
		if openErr != nil {
			return out, fmt.Errorf("kafka alone: %w", openErr)
		}
		defer func() { err = errors.Join(err, claim.Close()) }()
		go func() {
			for record := range claim.Messages() {
				mu.Lock()
				if _, again := received[string(record.Value)]; !again {
					received[string(record.Value)] = time.Now()
					if len(received) == pace.orders() {
						close(all)
					}
				}
				mu.Unlock()
			}
		}()
	}
	due, err := s.publishSteadily(ctx, topic, orderRange{0, pace.orders()}, pace.rate)
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	select {
	case <-all:
	case <-ctx.Done():
		return out, fmt.Errorf("kafka alone: wait for the events: %w", context.Cause(ctx))
	}
	h := newHistogram()
	for i := pace.lead(); i < len(due); i++ {
		if err := h.record(received[string(eventValue(i, statusCreated))].Sub(due[i])); err != nil {
			return out, err
		}
	}
	return h.latency(pace.rate), nil
}
