package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

// alone is how many GETs and COMMITs are measured one after the other.
const alone = 2000

// getAlone is one GET at a time, with nothing else at work.
func (s *stack) getAlone(ctx context.Context) (out latency, err error) {
	client, err := order.NewHTTPClient(order.Config{BaseURL: s.neighbour.url(), Timeout: 10 * time.Second, Concurrency: 1})
	if err != nil {
		return out, err
	}
	defer client.Close()
	return oneByOne(func(i int) error {
		_, err := client.Get(ctx, courier.OrderID(orderID(i%len(s.neighbour.endings))))
		return err
	})
}

// commitAlone is one transaction of one row at a time, likewise.
func (s *stack) commitAlone(ctx context.Context) (out latency, err error) {
	if _, err := s.pool.Exec(ctx, "create table bench_commits (n bigint)"); err != nil {
		return out, fmt.Errorf("single COMMIT: %w", err)
	}
	return oneByOne(func(i int) error {
		_, err := s.pool.Exec(ctx, "insert into bench_commits values ($1)", i)
		return err
	})
}

// oneByOne measures do, time after time.
func oneByOne(do func(i int) error) (out latency, err error) {
	h := newHistogram()
	for i := range alone {
		began := time.Now()
		if err := do(i); err != nil {
			return out, fmt.Errorf("one by one: %w", err)
		}
		if err := record(h, time.Since(began)); err != nil {
			return out, err
		}
	}
	return summary(h, 0), nil
}

// consumerConfig waits for events as the service does.
func consumerConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	return config
}

// kafkaAlone is the way of an event through Kafka at a steady rate, from the moment
// when it was due to be produced until a bare consumer has it, with nothing else at
// work: what a service has no part in.
func (s *stack) kafkaAlone(ctx context.Context, pace steadyLoad, partitions int) (out latency, err error) {
	const topic = "bench.alone"
	if err := s.kafka.CreateTopic(ctx, topic, partitions); err != nil {
		return out, err
	}
	consumer, err := sarama.NewConsumer([]string{s.kafka.Addr()}, consumerConfig())
	if err != nil {
		return out, fmt.Errorf("kafka alone: %w", err)
	}
	defer func() { err = errors.Join(err, consumer.Close()) }()
	came := make(map[string]time.Time, pace.orders())
	var mu sync.Mutex
	all := make(chan struct{})
	for i := range int32(partitions) { //nolint:gosec // a few
		claim, refused := consumer.ConsumePartition(topic, i, sarama.OffsetOldest)
		if refused != nil {
			return out, fmt.Errorf("kafka alone: %w", refused)
		}
		defer func() { err = errors.Join(err, claim.Close()) }()
		go func() {
			for record := range claim.Messages() {
				mu.Lock()
				if _, again := came[string(record.Value)]; !again {
					came[string(record.Value)] = time.Now()
					if len(came) == pace.orders() {
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
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-all:
	case <-ctx.Done():
		return out, fmt.Errorf("kafka alone: wait for the events: %w", context.Cause(ctx))
	}
	h := newHistogram()
	for i := pace.lead(); i < len(due); i++ {
		if err := record(h, came[string(eventValue(i, statusCreated))].Sub(due[i])); err != nil {
			return out, err
		}
	}
	return summary(h, pace.rate), nil
}
