package ordersim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// Event is a record of the topic: {"order_id","status","created_at"}. CreatedAt is the
// time of publishing, in seconds and UTC.
type Event struct {
	OrderID   string    `json:"order_id"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
}

func newEvent(id, status string) Event {
	return Event{OrderID: id, Status: status, CreatedAt: time.Now().UTC().Truncate(time.Second)}
}

// Publisher publishes events. It is called concurrently, after the order changed, and
// must not block for long. After an error the event is lost, as in the original.
type Publisher interface {
	Publish(e Event) error
}

// outbox applies the faults to the events: lost, duplicate and late ones.
type outbox struct {
	to     Publisher
	timers *scheduler
	log    *slog.Logger
	seed   uint64
	faults *faults
	muted  atomic.Bool

	recent recentEvents
}

// send publishes the status of an order, unless the event is to be lost.
func (o *outbox) send(id, status string) {
	random := newRand(o.seed, streamEvents, hash(id, status))
	faults := o.faults.get()
	lost, duplicate := random.Float64() < faults.Lose, random.Float64() < faults.Duplicate
	if o.muted.Load() || lost {
		o.log.Debug("event dropped by a fault", slog.String("order_id", id), slog.String("status", status))
		return
	}
	copies := 1
	if duplicate {
		copies = 2
	}
	for range copies {
		o.later(time.Duration(random.Float64()*float64(faults.Shuffle)), func() { o.publish(id, status) })
	}
}

// later runs do after the delay, at once without one.
func (o *outbox) later(delay time.Duration, do func()) {
	if delay <= 0 {
		do()
		return
	}
	o.timers.at(time.Now().Add(delay), do)
}

// publish publishes an event. The publisher logs outages.
func (o *outbox) publish(id, status string) {
	e := newEvent(id, status)
	o.recent.add(e)
	if err := o.to.Publish(e); err != nil {
		o.log.Debug("event lost", slog.String("order_id", id), slog.String("status", status), slog.Any("error", err))
	}
}

// deliverer publishes records and waits until they are saved. It returns how many are,
// and why not all.
type deliverer interface {
	deliver(ctx context.Context, values [][]byte) (int, error)
}

// deliver publishes records on request, regardless of the faults. Unlike an event, a record
// that is lost is an error.
func (o *outbox) deliver(ctx context.Context, values ...[]byte) (int, error) {
	to, ok := o.to.(deliverer)
	if !ok {
		return 0, fmt.Errorf("%w: nothing can be published without Kafka: set KAFKA_BROKERS", errBadRequest)
	}
	saved, err := to.deliver(ctx, values)
	if err != nil {
		return saved, fmt.Errorf("%w: Kafka has saved %d of %d records: %w", errNotPublished, saved, len(values), err)
	}
	return saved, nil
}

// discard is the publisher of a simulator without Kafka.
type discard struct{}

func (discard) Publish(Event) error { return nil }

const (
	reconnectInterval = 500 * time.Millisecond
	bufferTimeout     = time.Second // for space in the buffer while Kafka works
	ackTimeout        = 10 * time.Second
)

var (
	errKafkaUnavailable = errors.New("kafka unavailable")
	errBufferFull       = errors.New("kafka takes the events too slowly: the buffer is full")
	errNotPublished     = errors.New("not published")
)

// kafkaPublisher publishes events without a key: those of one order spread over the
// partitions. It connects in the background, drops events during an outage and logs
// its start and end.
type kafkaPublisher struct {
	brokers []string
	topic   string
	log     *slog.Logger

	mu       sync.RWMutex // held for writing while producer changes
	producer sarama.AsyncProducer

	failure atomic.Pointer[error] // the last one
	down    atomic.Bool
	dropped atomic.Int64

	cancel context.CancelFunc
	tried  chan struct{} // closed after the first attempt to connect
	done   chan struct{}
}

func newKafkaPublisher(brokers []string, topic string, log *slog.Logger) *kafkaPublisher {
	return &kafkaPublisher{brokers: brokers, topic: topic, log: log, tried: make(chan struct{}), done: make(chan struct{})}
}

// Publish puts an event into the producer's buffer. It waits for space only while Kafka
// works.
func (k *kafkaPublisher) Publish(e Event) error {
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return k.send(value, nil)
}

// deliver returns an error after ackTimeout; the records may still be published then.
func (k *kafkaPublisher) deliver(ctx context.Context, values [][]byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	outcomes := make(chan error, len(values))
	for _, value := range values {
		if err := k.send(value, outcomes); err != nil {
			outcomes <- err
		}
	}
	saved := 0
	var failed error
	for range values {
		select {
		case err := <-outcomes:
			if err != nil {
				failed = err
				continue
			}
			saved++
		case <-ctx.Done():
			return saved, fmt.Errorf("%w: no answer within %v, it may save the others later", errKafkaUnavailable, ackTimeout)
		}
	}
	return saved, failed
}

// send puts a value into the producer's buffer. If it does, outcomes gets the outcome
// unless it is nil.
func (k *kafkaPublisher) send(value []byte, outcomes chan<- error) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.producer == nil {
		k.dropped.Add(1)
		return k.unavailable()
	}
	msg := &sarama.ProducerMessage{Topic: k.topic, Value: sarama.ByteEncoder(value), Metadata: outcomes}
	select {
	case k.producer.Input() <- msg:
		return nil
	default:
		return k.waitForBuffer(msg)
	}
}

func (k *kafkaPublisher) waitForBuffer(msg *sarama.ProducerMessage) error {
	if k.down.Load() {
		k.dropped.Add(1)
		return k.unavailable()
	}
	timer := time.NewTimer(bufferTimeout)
	defer timer.Stop()
	select {
	case k.producer.Input() <- msg:
		return nil
	case <-timer.C:
		k.lost(errBufferFull)
		return errBufferFull
	}
}

// unavailable returns errKafkaUnavailable with the last failure, if any.
func (k *kafkaPublisher) unavailable() error {
	if err := k.failure.Load(); err != nil {
		return fmt.Errorf("%w: %w", errKafkaUnavailable, *err)
	}
	return errKafkaUnavailable
}

// start connects in the background.
func (k *kafkaPublisher) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	k.cancel = cancel
	go func() {
		defer close(k.done)
		if p := k.connect(ctx); p != nil {
			k.serve(ctx, p)
		}
	}()
}

// connect retries until it succeeds, or returns nil when ctx ends.
func (k *kafkaPublisher) connect(ctx context.Context) sarama.AsyncProducer {
	first := sync.OnceFunc(func() { close(k.tried) })
	for {
		p, err := sarama.NewAsyncProducer(k.brokers, producerConfig())
		if err == nil {
			k.setProducer(p)
			first()
			return p
		}
		first()
		k.outage(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectInterval):
		}
	}
}

// serve handles the outcomes of the producer. At the end of ctx it closes the producer,
// which sends the buffered events.
func (k *kafkaPublisher) serve(ctx context.Context, p sarama.AsyncProducer) {
	k.down.Store(false)
	k.log.Info("kafka connected",
		slog.String("topic", k.topic), slog.Int64("dropped", k.dropped.Swap(0)))
	var watchers sync.WaitGroup
	watchers.Go(func() {
		for msg := range p.Successes() {
			k.recovered()
			settle(msg, nil)
		}
	})
	watchers.Go(func() {
		for err := range p.Errors() {
			k.lost(err.Err)
			settle(err.Msg, err.Err)
		}
	})
	<-ctx.Done()
	k.setProducer(nil) // no event may be sent to a closed producer
	p.AsyncClose()
	watchers.Wait()
}

// settle reports the outcome of a message to deliver, which waits for it.
func settle(msg *sarama.ProducerMessage, err error) {
	if outcomes, _ := msg.Metadata.(chan<- error); outcomes != nil {
		outcomes <- err
	}
}

func (k *kafkaPublisher) setProducer(p sarama.AsyncProducer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.producer = p
}

// stop sends the buffered events and disconnects.
func (k *kafkaPublisher) stop(ctx context.Context) error {
	k.cancel()
	select {
	case <-k.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("kafka producer is still closing: %w", ctx.Err())
	}
}

func (k *kafkaPublisher) lost(err error) {
	k.dropped.Add(1)
	k.outage(err)
}

// outage logs the first failure after a success.
func (k *kafkaPublisher) outage(err error) {
	k.failure.Store(&err)
	if !k.down.Swap(true) {
		k.log.Warn("kafka unavailable, dropping events",
			slog.Any("brokers", k.brokers), slog.String("topic", k.topic), slog.Any("error", err))
	}
}

// recovered logs the first success after a failure.
func (k *kafkaPublisher) recovered() {
	if k.down.Load() && k.down.Swap(false) {
		k.log.Info("kafka recovered", slog.Int64("dropped", k.dropped.Swap(0)))
	}
}

func producerConfig() *sarama.Config {
	cfg := sarama.NewConfig()
	cfg.ClientID = "service-order"
	cfg.ChannelBufferSize = 4096
	cfg.Net.DialTimeout = 3 * time.Second
	cfg.Metadata.Retry.Max = 1
	cfg.Metadata.Timeout = 5 * time.Second
	cfg.Producer.RequiredAcks = sarama.WaitForLocal
	cfg.Producer.Return.Successes = true
	return cfg
}
