package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/usecase/deadletters"
)

// Producer sends records to the order topic, one at a time, for a person who
// redrives dead letters. The service itself publishes nothing.
type Producer struct {
	ctx      context.Context // bounds everything, also reconnecting and closing
	cfg      Config
	within   time.Duration       // a record is acknowledged, or given up
	producer sarama.SyncProducer // nil after one that hung
}

var _ deadletters.Publisher = (*Producer)(nil)

// publishWithin bounds the wait for one record. It is more than all the tries of
// a client whose broker answers take: sarama's producer may wait for ever after
// the broker hung for a while.
const publishWithin = 30 * time.Second

// NewProducer connects to Kafka. The connections break when ctx ends, whatever
// hangs, so it lives as long as the producer.
func NewProducer(ctx context.Context, cfg Config) (*Producer, error) {
	p := &Producer{ctx: ctx, cfg: cfg, within: publishWithin}
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
	boundBy(p.ctx, conf)
	if p.producer, err = sarama.NewSyncProducer(p.cfg.Brokers, patient(conf)); err != nil {
		p.producer = nil // not a nil pointer in an interface
		return fmt.Errorf("no connection to Kafka at %v: %w", p.cfg.Brokers, unless(p.ctx, err))
	}
	return nil
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

// Publish implements deadletters.Publisher. Only NewProducer's ctx bounds it: once
// a record is on its way, whether it arrived is worth the wait.
func (p *Producer) Publish(_ context.Context, r deadletters.Record) (deadletters.Position, error) {
	if p.producer == nil {
		if err := p.connect(); err != nil {
			return deadletters.Position{}, err
		}
	}
	m := &sarama.ProducerMessage{Topic: p.cfg.Topic, Key: encoder(r.Key), Value: encoder(r.Payload)}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: h.Key, Value: h.Value})
	}
	if err := p.send(m); err != nil {
		if errors.Is(err, sarama.ErrTopicAuthorizationFailed) {
			err = fmt.Errorf("%w: %w", deadletters.ErrForbidden, err)
		}
		return deadletters.Position{}, fmt.Errorf("publish to topic %s: %w", p.cfg.Topic, explain(err))
	}
	return deadletters.Position{Partition: m.Partition, Offset: m.Offset}, nil
}

// send waits for the acknowledgement, and gives the connection up when it does
// not come: the next record goes over a new one.
func (p *Producer) send(m *sarama.ProducerMessage) error {
	limited, cancel := context.WithTimeout(p.ctx, p.within)
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
		go func(hung sarama.SyncProducer) { _ = hung.Close() }(p.producer) // which may hang as well
		p.producer = nil
		return fmt.Errorf("%w in time, so it may have arrived or not; see that every broker answers, then redrive the letter again: twice does no harm",
			errNotAcknowledged)
	}
}

var errNotAcknowledged = errors.New("no broker acknowledged the record")

// Close drops the connections.
func (p *Producer) Close() error {
	if p.producer == nil {
		return nil
	}
	return p.producer.Close()
}

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
