package main

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// preload publishes one event of each order, without a key, round the
// partitions, and returns when the broker has them all.
func preload(kafka, topic, status string, orders int) (err error) {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewRoundRobinPartitioner
	producer, err := sarama.NewSyncProducer([]string{kafka}, config)
	if err != nil {
		return fmt.Errorf("preload events: %w", err)
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	const chunk = 5000
	messages := make([]*sarama.ProducerMessage, 0, chunk)
	for i := range orders {
		event := fmt.Sprintf(`{"order_id":%q,"status":%q,"created_at":"2026-01-02T03:04:05Z"}`, orderID(i), status)
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(event)})
		if len(messages) == chunk || i == orders-1 {
			if err := producer.SendMessages(messages); err != nil {
				return fmt.Errorf("preload events: %w", err)
			}
			messages = messages[:0]
		}
	}
	return nil
}
