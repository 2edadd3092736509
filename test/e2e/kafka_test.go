package e2e

import (
	"encoding/json"
	"time"

	"github.com/IBM/sarama"
)

// offsets are one number per partition.
type offsets [partitions]int64

func (o offsets) sum() (n int64) {
	for _, offset := range o {
		n += offset
	}
	return n
}

func (s *stack) client() sarama.Client {
	s.Helper()
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Metadata.AllowAutoTopicCreation = false
	config.Producer.Return.Successes = true
	client, err := sarama.NewClient([]string{s.kafka}, config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = client.Close() })
	return client
}

// committed returns the committed offsets of the group, 0 without one.
func (s *stack) committed(client sarama.Client) (o offsets) {
	s.Helper()
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		s.Fatal(err)
	}
	resp, err := admin.ListConsumerGroupOffsets(s.group, map[string][]int32{s.topic: {0, 1, 2, 3, 4, 5}})
	if err != nil {
		s.Fatal(err)
	}
	for p := range o {
		o[p] = max(0, resp.GetBlock(s.topic, int32(p)).Offset)
	}
	return o
}

// published returns the number of events in each partition.
func (s *stack) published(client sarama.Client) (o offsets) {
	s.Helper()
	for p := range o {
		var err error
		if o[p], err = client.GetOffset(s.topic, int32(p), sarama.OffsetNewest); err != nil {
			s.Fatal(err)
		}
	}
	return o
}

// publish sends an event without a key, as service-order does.
func (s *stack) publish(client sarama.Client, id, status string) {
	s.Helper()
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	event, err := json.Marshal(map[string]any{"order_id": id, "status": status, "created_at": time.Now()})
	if err != nil {
		s.Fatal(err)
	}
	if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: s.topic, Value: sarama.ByteEncoder(event)}); err != nil {
		s.Fatal(err)
	}
}

// orderIDs returns the order of every event before the offsets.
func (s *stack) orderIDs(client sarama.Client, before offsets) map[string]bool {
	s.Helper()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		s.Fatal(err)
	}
	ids := make(map[string]bool)
	for p, end := range before {
		if end == 0 {
			continue
		}
		claim, err := consumer.ConsumePartition(s.topic, int32(p), sarama.OffsetOldest)
		if err != nil {
			s.Fatal(err)
		}
		for record := range claim.Messages() {
			var event struct {
				OrderID string `json:"order_id"`
			}
			if err := json.Unmarshal(record.Value, &event); err != nil {
				s.Fatal(err)
			}
			ids[event.OrderID] = true
			if record.Offset == end-1 {
				break
			}
		}
		if err := claim.Close(); err != nil {
			s.Fatal(err)
		}
	}
	return ids
}
