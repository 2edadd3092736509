package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/IBM/sarama"
)

// orderRange is the orders from..to-1.
type orderRange struct{ from, to int }

func (r orderRange) len() int { return r.to - r.from }

// event is a message without a key, so that it goes to any partition.
func event(order int, status string) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(eventValue(order, status))}
}

func eventValue(order int, status string) string {
	return fmt.Sprintf(`{"order_id":%q,"status":%q,"created_at":"2026-01-02T03:04:05Z"}`, orderID(order), status)
}

// events are copies events of each order.
func events(r orderRange, status string, copies int) []*sarama.ProducerMessage {
	messages := make([]*sarama.ProducerMessage, 0, r.len()*copies)
	for i := r.from; i < r.to; i++ {
		for range copies {
			messages = append(messages, event(i, status))
		}
	}
	return messages
}

// shuffled puts events into another order, the same in every run.
func shuffled(messages []*sarama.ProducerMessage) []*sarama.ProducerMessage {
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(messages), func(i, j int) { //nolint:gosec // an order of events
		messages[i], messages[j] = messages[j], messages[i]
	})
	return messages
}

func producerConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewRoundRobinPartitioner
	return config
}

// consumerConfig waits for events as the service does.
func consumerConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	return config
}

// publish returns when the broker has all events.
func publish(kafka string, messages []*sarama.ProducerMessage) (err error) {
	producer, err := sarama.NewSyncProducer([]string{kafka}, producerConfig())
	if err != nil {
		return fmt.Errorf("publish events: %w", err)
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	const chunk = 5000
	for len(messages) > 0 {
		n := min(chunk, len(messages))
		if err := producer.SendMessages(messages[:n]); err != nil {
			return fmt.Errorf("publish events: %w", err)
		}
		messages = messages[n:]
	}
	return nil
}

// publishSteadily publishes one created event of each order, rate a second,
// whatever becomes of those before: an open loop. It returns the moment at which
// each was due, which is where its latency begins also when the producer is late.
func publishSteadily(kafka, topic string, r orderRange, rate int) (due []time.Time, err error) {
	producer, err := sarama.NewAsyncProducer([]string{kafka}, producerConfig())
	if err != nil {
		return nil, fmt.Errorf("publish events: %w", err)
	}
	failed := make(chan error, 1)
	go func() {
		var first error
		for err := range producer.Errors() {
			first = errors.Join(first, err)
		}
		failed <- first
	}()
	go func() {
		for range producer.Successes() {
		}
	}()
	began := time.Now()
	for i := range r.len() {
		at := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(at))
		message := event(r.from+i, statusCreated)
		message.Topic = topic
		producer.Input() <- message
		due = append(due, at)
	}
	producer.AsyncClose()
	if err := <-failed; err != nil {
		return nil, fmt.Errorf("publish events: %w", err)
	}
	return due, nil
}
