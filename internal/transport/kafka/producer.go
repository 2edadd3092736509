package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/usecase/deadletters"
)

// Producer sends records to the order topic, one at a time, for a person who
// redrives dead letters. The service itself publishes nothing.
type Producer struct {
	topic    string
	producer sarama.SyncProducer
}

var _ deadletters.Publisher = (*Producer)(nil)

// NewProducer connects to Kafka.
func NewProducer(cfg Config) (*Producer, error) {
	conf, err := cfg.sarama()
	if err != nil {
		return nil, err
	}
	p, err := sarama.NewSyncProducer(cfg.Brokers, patient(conf))
	if err != nil {
		return nil, fmt.Errorf("no connection to Kafka at %v: %w", cfg.Brokers, explain(err))
	}
	return &Producer{cfg.Topic, p}, nil
}

// patient waits for every in-sync replica, for a bounded time: a broker
// that hangs is told after some seconds.
func patient(c *sarama.Config) *sarama.Config {
	c.Net.ReadTimeout = 10 * time.Second
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Timeout = 5 * time.Second
	c.Producer.Retry.Max = 2
	c.Producer.Return.Successes = true
	// A record that came through this topic may not be too large here; whether it
	// is, the broker knows.
	c.Producer.MaxMessageBytes = maxDecompressedBatch
	// As Java's clients spread keys; a record without one goes anywhere.
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	return c
}

// Publish implements deadletters.Publisher. It takes no notice of ctx: once a
// record is on its way, whether it arrived is worth the wait.
func (p *Producer) Publish(_ context.Context, r deadletters.Record) (deadletters.Position, error) {
	m := &sarama.ProducerMessage{Topic: p.topic, Key: encoder(r.Key), Value: encoder(r.Payload)}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: h.Key, Value: h.Value})
	}
	partition, offset, err := p.producer.SendMessage(m)
	if err != nil {
		return deadletters.Position{}, fmt.Errorf("publish to topic %s: %w", p.topic, explain(err))
	}
	return deadletters.Position{Partition: partition, Offset: offset}, nil
}

// Close drops the connections.
func (p *Producer) Close() error { return p.producer.Close() }

// encoder keeps absent bytes apart from empty ones.
func encoder(b []byte) sarama.Encoder {
	if b == nil {
		return nil
	}
	return sarama.ByteEncoder(b)
}

// WhyDead says why a record with this payload would become a dead letter at
// once; "" when nothing speaks against it before the database is asked.
func WhyDead(payload []byte) string {
	b := decode([]*sarama.ConsumerMessage{{Value: payload}}, nil)
	if len(b.Letters) == 0 {
		return ""
	}
	return b.Letters[0].Reason + ": " + b.Letters[0].Detail
}
