package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/outage"
	"service-courier/internal/usecase/outbox"
)

const (
	eventSource = "/service-courier"
	eventType   = "courier.assignment."
	// eventBatch bounds what one request carries to a partition; brokers accept 1 MiB by
	// default.
	eventBatch = 512 << 10
	// eventLinger lets a batch go in one request. Without it sarama sends whatever it has
	// and makes ten requests of 1,000 events, which cost the broker more than the events.
	eventLinger = 2 * time.Millisecond
)

// EventObserver counts events, for the metrics.
type EventObserver interface {
	EventsPublished(n int)
	EventSkipped()
}

// EventProducer publishes the events of the outbox, each with the key of its order and the
// headers of CloudEvents 1.0. It connects when it is first used and after an error. It is
// for one goroutine.
type EventProducer struct {
	cfg      Config
	observer EventObserver
	log      *slog.Logger
	timeout  time.Duration // of the acknowledgement of a batch

	producer   sarama.SyncProducer // nil while not connected
	disconnect context.CancelFunc
	closing    sync.WaitGroup // sarama's Close is slow after an error
}

var _ outbox.Publisher = (*EventProducer)(nil)

// NewEventProducer returns a producer for the topic of cfg.
func NewEventProducer(cfg Config, observer EventObserver, log *slog.Logger) *EventProducer {
	return &EventProducer{cfg: cfg, observer: observer, log: log, timeout: publishTimeout}
}

// Publish implements outbox.Publisher. An event that Kafka will never accept is logged and
// skipped, so that it does not stop all later ones.
func (p *EventProducer) Publish(ctx context.Context, events []outbox.Event) error {
	messages := make([]*sarama.ProducerMessage, 0, len(events))
	for _, e := range events {
		m, err := p.message(e)
		if err != nil {
			p.skip(ctx, e.ID(), err)
			continue
		}
		messages = append(messages, m)
	}
	published := len(messages)
	refused, err := p.send(ctx, messages)
	for _, m := range refused { // again alone: a batch may be too large although its events are not
		if err != nil {
			break
		}
		var alone []*sarama.ProducerMessage
		if alone, err = p.send(ctx, []*sarama.ProducerMessage{m}); len(alone) > 0 {
			p.skip(ctx, m.Metadata.(string), errRefused)
			published--
		}
	}
	if err != nil {
		return fmt.Errorf("publish to topic %s: %w", p.cfg.Topic, explainEvents(err))
	}
	p.observer.EventsPublished(published)
	return nil
}

var errRefused = errors.New("the topic does not accept the event: it is too large or invalid")

func (p *EventProducer) skip(ctx context.Context, id string, err error) {
	p.observer.EventSkipped()
	p.log.ErrorContext(ctx, "event skipped", slog.String("event_id", id), slog.Any("error", err))
}

// send returns once all messages are acknowledged, and those that Kafka will never
// accept. After any other error the connection is not used again.
func (p *EventProducer) send(ctx context.Context, messages []*sarama.ProducerMessage) (refused []*sarama.ProducerMessage, err error) {
	if len(messages) == 0 {
		return nil, nil
	}
	if p.producer == nil {
		if err := p.connect(ctx); err != nil {
			return nil, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	sent := make(chan error, 1)
	go func(to sarama.SyncProducer) { sent <- to.SendMessages(messages) }(p.producer)
	select {
	case err = <-sent:
	case <-limited.Done():
		err = errNotAcknowledged
	}
	if failed, ok := errors.AsType[sarama.ProducerErrors](err); ok {
		err = nil
		for _, f := range failed {
			if err == nil && !isFinal(f.Err) { // the first one: later ones may say only that sarama gave up
				err = f.Err
			}
			refused = append(refused, f.Msg)
		}
	}
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return refused, nil
}

// isFinal reports an error that a message causes: the same message would fail again.
func isFinal(err error) bool {
	_, larger := errors.AsType[sarama.ConfigurationError](err) // than MaxMessageBytes
	return larger || errors.Is(err, sarama.ErrMessageSizeTooLarge) || errors.Is(err, sarama.ErrInvalidRecord)
}

func (p *EventProducer) connect(ctx context.Context) error {
	conf, err := p.cfg.sarama()
	if err != nil {
		return err
	}
	lifetime, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	bindConnections(lifetime, conf, p.cfg.Brokers)
	conf = producerConfig(conf)
	conf.Producer.Idempotent = true // a retry by sarama neither repeats nor reorders
	conf.Net.MaxOpenRequests = 1
	conf.Producer.Flush.Frequency = eventLinger
	conf.Producer.MaxMessageBytes = eventBatch
	stop := context.AfterFunc(ctx, disconnect)
	defer stop()
	producer, err := sarama.NewSyncProducer(p.cfg.Brokers, conf)
	if err != nil {
		disconnect()
		return fmt.Errorf("connect to Kafka at %v: %w", p.cfg.Brokers, err)
	}
	p.producer, p.disconnect = producer, disconnect
	return nil
}

// Close closes the connections. The producer may be used again.
func (p *EventProducer) Close() error {
	if p.producer == nil {
		return nil
	}
	producer := p.producer
	p.producer = nil
	p.disconnect() // or sarama's Close may wait for a broker that hangs
	p.closing.Go(func() { _ = producer.Close() })
	return nil
}

// eventBody is the value of an event. Fields are only added.
type eventBody struct {
	EventID       string             `json:"event_id"`
	Type          outbox.Type        `json:"type"`
	OrderID       courier.OrderID    `json:"order_id"`
	CourierID     *int64             `json:"courier_id"`
	TransportType *courier.Transport `json:"transport_type"`
	Deadline      *time.Time         `json:"deadline"`
	OccurredAt    time.Time          `json:"occurred_at"`
	Reason        string             `json:"reason"`
	Sequence      int64              `json:"sequence"`
}

func (p *EventProducer) message(e outbox.Event) (*sarama.ProducerMessage, error) {
	if _, err := courier.ParseOrderID(string(e.OrderID)); err != nil { // of a row: consumers put it into paths
		return nil, err
	}
	value, err := json.Marshal(eventBody{
		EventID: e.ID(), Type: e.Type, OrderID: e.OrderID, CourierID: orNull(e.CourierID), TransportType: orNull(e.Transport),
		Deadline: orNull(e.Deadline.UTC()), OccurredAt: e.OccurredAt.UTC(), Reason: e.Reason, Sequence: e.Sequence,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the event: %w", err)
	}
	m := &sarama.ProducerMessage{
		Topic: p.cfg.Topic, Key: sarama.StringEncoder(e.OrderID), Value: sarama.ByteEncoder(value), Metadata: e.ID(),
	}
	for _, h := range [][2]string{
		{"content-type", "application/json"},
		{"ce_specversion", "1.0"},
		{"ce_id", e.ID()},
		{"ce_source", eventSource},
		{"ce_type", eventType + string(e.Type)},
		{"ce_subject", string(e.OrderID)},
		{"ce_time", e.OccurredAt.UTC().Format(time.RFC3339Nano)},
	} {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h[0]), Value: []byte(h[1])})
	}
	return m, nil
}

// orNull returns nil for the zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// explainEvents adds the fix to an error that an operator can fix.
func explainEvents(err error) error {
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return outage.Fixable{Err: err, Fix: "create the topic, or correct KAFKA_ASSIGNMENT_TOPIC"}
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return outage.Fixable{Err: err, Fix: "allow this user to WRITE the topic of KAFKA_ASSIGNMENT_TOPIC"}
	}
	return explain(err)
}
