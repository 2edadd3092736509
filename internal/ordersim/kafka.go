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

// How long to wait between attempts to reach Kafka, and for room in the
// producer's buffer while Kafka works.
const (
	reconnectAfter = 500 * time.Millisecond
	roomWithin     = time.Second
)

var errKafkaAway = errors.New("kafka cannot be reached")

// kafkaPublisher writes events without a key, so that the partitioner scatters
// the events of one order. It connects in the background and drops what comes
// while it cannot, with one log line an outage.
type kafkaPublisher struct {
	brokers []string
	topic   string
	log     *slog.Logger

	mu       sync.RWMutex // held for writing while producer changes
	producer sarama.AsyncProducer

	away    atomic.Bool
	dropped atomic.Int64

	cancel context.CancelFunc
	tried  chan struct{} // closed after the first attempt to connect
	done   chan struct{}
}

func newKafkaPublisher(brokers []string, topic string, log *slog.Logger) *kafkaPublisher {
	return &kafkaPublisher{brokers: brokers, topic: topic, log: log, tried: make(chan struct{}), done: make(chan struct{})}
}

// Publish hands an event to the producer's buffer. It waits for room only while
// Kafka works: then a full buffer means we are too fast, else that it is gone.
func (k *kafkaPublisher) Publish(e Event) error {
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.producer == nil {
		k.dropped.Add(1)
		return errKafkaAway
	}
	msg := &sarama.ProducerMessage{Topic: k.topic, Value: sarama.ByteEncoder(value)}
	select {
	case k.producer.Input() <- msg:
		return nil
	default:
		return k.publishSlowly(msg)
	}
}

func (k *kafkaPublisher) publishSlowly(msg *sarama.ProducerMessage) error {
	if !k.away.Load() {
		room := time.NewTimer(roomWithin)
		defer room.Stop()
		select {
		case k.producer.Input() <- msg:
			return nil
		case <-room.C:
		}
	}
	k.lost(errKafkaAway)
	return errKafkaAway
}

// start connects in the background until stop, or the end of ctx.
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

// connect tries until it succeeds, or returns nil when ctx ends.
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
		case <-time.After(reconnectAfter):
		}
	}
}

// serve opens the producer to Publish and watches how its messages fare. At the
// end it closes it, which sends what is still in the buffer.
func (k *kafkaPublisher) serve(ctx context.Context, p sarama.AsyncProducer) {
	k.away.Store(false)
	k.log.Info("kafka connected, events are published",
		slog.String("topic", k.topic), slog.Int64("dropped", k.dropped.Swap(0)))
	var watchers sync.WaitGroup
	watchers.Go(func() {
		for range p.Successes() {
			k.arrived()
		}
	})
	watchers.Go(func() {
		for err := range p.Errors() {
			k.lost(err.Err)
		}
	})
	<-ctx.Done()
	k.setProducer(nil) // nobody sends into a producer that closes
	p.AsyncClose()
	watchers.Wait()
}

func (k *kafkaPublisher) setProducer(p sarama.AsyncProducer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.producer = p
}

// stop sends what is buffered and disconnects.
func (k *kafkaPublisher) stop(ctx context.Context) error {
	k.cancel()
	select {
	case <-k.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ordersim: kafka producer is still closing: %w", ctx.Err())
	}
}

func (k *kafkaPublisher) lost(err error) {
	k.dropped.Add(1)
	k.outage(err)
}

// outage logs the first failure after a success.
func (k *kafkaPublisher) outage(err error) {
	if !k.away.Swap(true) {
		k.log.Warn("kafka does not take events, dropping them until it does",
			slog.Any("brokers", k.brokers), slog.String("topic", k.topic), slog.Any("error", err))
	}
}

// arrived logs the first success after a failure.
func (k *kafkaPublisher) arrived() {
	if k.away.Load() && k.away.Swap(false) {
		k.log.Info("kafka takes events again", slog.Int64("dropped", k.dropped.Swap(0)))
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
