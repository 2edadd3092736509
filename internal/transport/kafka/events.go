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
	"go.opentelemetry.io/otel/propagation"

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
	timeout  time.Duration // of the acknowledgement of a request

	connection *eventConnection // nil while not connected
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
	records, trace := make([]eventRecord, 0, len(events)), traceHeaders(ctx)
	for _, e := range events {
		r, err := newEventRecord(e, trace)
		if err != nil {
			p.skip(ctx, r.id, err)
			continue
		}
		records = append(records, r)
	}
	for len(records) > 0 {
		n, err := p.publish(ctx, records)
		if err != nil { // the next ones may be of the same orders
			return fmt.Errorf("publish to topic %s: %w", p.cfg.Topic, explainEvents(err, "WRITE"))
		}
		records = records[n:]
	}
	return nil
}

// publish returns once the first n records are acknowledged or skipped.
func (p *EventProducer) publish(ctx context.Context, records []eventRecord) (n int, err error) {
	n, refused, err := p.send(ctx, records)
	published := n - len(refused)
	for i := range refused { // again alone: a batch may be too large although its events are not
		if err != nil {
			break
		}
		var alone []eventRecord
		if _, alone, err = p.send(ctx, refused[i:i+1]); len(alone) > 0 {
			p.skip(ctx, alone[0].id, errRefused)
			continue
		}
		published++
	}
	if err == nil {
		p.observer.EventsPublished(published)
	}
	return n, err
}

var errRefused = errors.New("the topic does not accept the event: it is too large or invalid")

func (p *EventProducer) skip(ctx context.Context, id string, err error) {
	p.observer.EventSkipped()
	p.log.ErrorContext(ctx, "event skipped", slog.String("event_id", id), slog.Any("error", err))
}

// send sends the first n records, and returns those that Kafka will never accept. It tries a
// second time if it was connected before: a broker closes an idle connection, and another
// one may lead a partition by now.
func (p *EventProducer) send(ctx context.Context, records []eventRecord) (n int, refused []eventRecord, err error) {
	connected := p.connection != nil
	n, refused, err = p.try(ctx, records)
	if err != nil && connected && !errors.Is(err, errNotAcknowledged) {
		n, refused, err = p.try(ctx, records)
	}
	return n, refused, err
}

func (p *EventProducer) try(ctx context.Context, records []eventRecord) (n int, refused []eventRecord, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if p.connection == nil {
		if err := p.connect(ctx); err != nil {
			return 0, nil, err
		}
	}
	stop := context.AfterFunc(ctx, p.disconnect)
	defer stop()
	if n, refused, err = p.connection.send(records); err != nil {
		if ctx.Err() != nil {
			err = errNotAcknowledged
		}
		_ = p.Close()
	}
	return n, refused, err
}

// isFinal reports an error that a record causes: the same record would fail again.
func isFinal(err sarama.KError) bool {
	return err == sarama.ErrMessageSizeTooLarge || err == sarama.ErrInvalidRecord
}

func (p *EventProducer) connect(ctx context.Context) error {
	conf, err := p.cfg.sarama()
	if err != nil {
		return err
	}
	lifetime, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	bindConnections(lifetime, conf, p.cfg.Brokers)
	stop := context.AfterFunc(ctx, disconnect)
	defer stop()
	p.connection, err = newEventConnection(ctx, p.cfg, producerConfig(conf))
	if err != nil {
		disconnect()
		return fmt.Errorf("connect to Kafka at %v: %w", p.cfg.Brokers, err)
	}
	p.disconnect = disconnect
	return nil
}

// Close closes the connections. The producer may be used again.
func (p *EventProducer) Close() error {
	if p.connection == nil {
		return nil
	}
	client := p.connection.client
	p.connection = nil
	p.disconnect() // or sarama's Close may wait for a broker that hangs
	p.closing.Go(func() { _ = client.Close() })
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

// eventRecord is an event as a record of Kafka.
type eventRecord struct {
	sarama.Record
	id string // of the event
}

// size is at least that of the record in a batch.
func (r eventRecord) size() (n int) {
	const overhead = 32 // of numbers and lengths
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + overhead
	}
	return n + len(r.Key) + len(r.Value) + overhead
}

func newEventRecord(e outbox.Event, trace []*sarama.RecordHeader) (r eventRecord, err error) {
	r.id = e.ID()
	if _, err := courier.ParseOrderID(string(e.OrderID)); err != nil { // of a row: consumers put it into paths
		return r, err
	}
	r.Key = []byte(e.OrderID)
	r.Value, err = json.Marshal(eventBody{
		EventID: r.id, Type: e.Type, OrderID: e.OrderID, CourierID: orNull(e.CourierID), TransportType: orNull(e.Transport),
		Deadline: orNull(e.Deadline.UTC()), OccurredAt: e.OccurredAt.UTC(), Reason: e.Reason, Sequence: e.Sequence,
	})
	if err != nil {
		return r, fmt.Errorf("encode the event: %w", err)
	}
	r.Headers = append([]*sarama.RecordHeader{
		headerContentType, headerSpecVersion,
		{Key: headerID, Value: []byte(r.id)},
		headerSource,
		{Key: headerType, Value: []byte(eventType + e.Type)},
		{Key: headerSubject, Value: r.Key},
		{Key: headerTime, Value: e.OccurredAt.UTC().AppendFormat(nil, time.RFC3339Nano)},
	}, trace...)
	return r, nil
}

// traceHeaders returns the headers of the trace that publishes, none while tracing is off.
func traceHeaders(ctx context.Context) (headers []*sarama.RecordHeader) {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	for key, value := range carrier {
		headers = append(headers, &sarama.RecordHeader{Key: []byte(key), Value: []byte(value)})
	}
	return headers
}

// The headers of every event, and the names of the others.
var (
	headerContentType = &sarama.RecordHeader{Key: []byte("content-type"), Value: []byte("application/json")}
	headerSpecVersion = &sarama.RecordHeader{Key: []byte("ce_specversion"), Value: []byte("1.0")}
	headerSource      = &sarama.RecordHeader{Key: []byte("ce_source"), Value: []byte(eventSource)}

	headerID, headerType, headerSubject, headerTime = []byte("ce_id"), []byte("ce_type"), []byte("ce_subject"), []byte("ce_time")
)

// orNull returns nil for the zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// explainEvents adds the fix to an error that an operator can fix; right is the one needed.
func explainEvents(err error, right string) error {
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return outage.Fixable{Cause: "the topic does not exist", Err: err, Fix: "create the topic, or correct KAFKA_ASSIGNMENT_TOPIC"}
	case errors.Is(err, errNotAcknowledged):
		return outage.Fixable{Cause: silence.text, Err: downError{err}, Fix: silence.fix}
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return outage.Fixable{Cause: "a right on the topic is missing", Err: err, Fix: "allow this user to " + right + " the topic of KAFKA_ASSIGNMENT_TOPIC"}
	}
	return explain(err)
}
