package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/usecase/deadletters"
)

// Producer publishes redriven dead letters to the order topic, one at a time.
type Producer struct {
	ctx      context.Context // bounds all calls, also reconnecting and closing
	cfg      Config
	timeout  time.Duration       // of the acknowledgement of a record
	producer sarama.SyncProducer // nil after a timeout
}

var _ deadletters.Publisher = (*Producer)(nil)

// publishTimeout is longer than all retries of sarama. Without it, sarama's producer
// may wait for ever after a broker hung for a while.
const publishTimeout = 30 * time.Second

// NewProducer connects to Kafka. The end of ctx closes the connections, so ctx must
// live as long as the producer.
func NewProducer(ctx context.Context, cfg Config) (*Producer, error) {
	p := &Producer{ctx: ctx, cfg: cfg, timeout: publishTimeout}
	if err := p.connect(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Producer) connect() error {
	conf, err := p.cfg.sarama()
	if err != nil {
		return err
	}
	seeds, _, err := p.cfg.seeds(p.ctx)
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	bindConnections(p.ctx, conf, p.cfg.Brokers)
	if p.producer, err = sarama.NewSyncProducer(seeds, producerConfig(conf)); err != nil {
		p.producer = nil // not a typed nil
		return fmt.Errorf("connect to Kafka at %v: %w", p.cfg.Brokers, explainTimeout(p.ctx, err))
	}
	return nil
}

// producerConfig waits for all in-sync replicas, for some seconds.
func producerConfig(c *sarama.Config) *sarama.Config {
	c.Net.ReadTimeout = 10 * time.Second
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Timeout = 5 * time.Second
	c.Producer.Retry.Max = 2
	c.Producer.Return.Successes = true
	// The broker decides whether a record is too large, not the client.
	c.Producer.MaxMessageBytes = maxDecompressedBatch
	// Java clients partition by key in the same way.
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	return c
}

// Publish implements deadletters.Publisher. It ignores its own ctx: the outcome of a
// record that was sent is worth the wait.
func (p *Producer) Publish(_ context.Context, r deadletters.Record) (deadletters.RecordPosition, error) {
	if p.producer == nil {
		if err := p.connect(); err != nil {
			return deadletters.RecordPosition{}, fmt.Errorf("%w: %w", deadletters.ErrUnreachable, err)
		}
	}
	m := &sarama.ProducerMessage{Topic: p.cfg.Topic, Key: encoder(r.Key), Value: encoder(r.Payload)}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: h.Key, Value: h.Value})
	}
	if err := p.send(m); err != nil {
		switch _, answered := errors.AsType[sarama.KError](err); {
		case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
			err = fmt.Errorf("%w: %w", deadletters.ErrForbidden, err)
		case !answered:
			err = fmt.Errorf("%w: %w", deadletters.ErrUnreachable, err)
		}
		return deadletters.RecordPosition{}, fmt.Errorf("publish to topic %s: %w", p.cfg.Topic, explain(err))
	}
	return deadletters.RecordPosition{Partition: m.Partition, Offset: m.Offset}, nil
}

// send waits for the acknowledgement. After a timeout the next record uses a new
// connection.
func (p *Producer) send(m *sarama.ProducerMessage) error {
	limited, cancel := context.WithTimeout(p.ctx, p.timeout)
	defer cancel()
	sent := make(chan error, 1)
	go func(to sarama.SyncProducer) {
		_, _, err := to.SendMessage(m)
		sent <- err
	}(p.producer)
	select {
	case err := <-sent:
		return err
	case <-limited.Done():
		go func(hung sarama.SyncProducer) { _ = hung.Close() }(p.producer) // may hang too
		p.producer = nil
		return fmt.Errorf("%w in time, so it may be published or not; check the brokers, then redrive the dead letter again, which is safe",
			errNotAcknowledged)
	}
}

var errNotAcknowledged = errors.New("no broker acknowledged the record")

// Close closes the connections.
func (p *Producer) Close() error {
	if p.producer == nil {
		return nil
	}
	return p.producer.Close()
}

// encoder distinguishes absent bytes from empty ones.
func encoder(b []byte) sarama.Encoder {
	if b == nil {
		return nil
	}
	return sarama.ByteEncoder(b)
}
