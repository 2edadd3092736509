// Package kafka is the consumer of order events: it decodes records and hands
// them over in batches, and marks what was saved. It knows nothing of couriers,
// and decides only what can never be an event.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
)

// Sink is where batches go.
type Sink interface {
	// Submit returns nil when the batch is disposed of in committed
	// transactions. After an error nothing is known: the batch is submitted again.
	Submit(ctx context.Context, b orderevent.Batch) error
}

// Observer is told how the topic is read.
type Observer interface {
	// Claimed is called when a partition becomes this member's. lag tells, whenever
	// it is called, how many records of it are to be saved, where that is known.
	Claimed(partition int32, lag func() (records int64, known bool))
	// Forget is called when the partition is no longer this member's.
	Forget(partition int32)
	// Saved tells that so many records are disposed of, as events or dead letters.
	Saved(records int)
}

// Consumer is a member of the consumer group.
type Consumer struct {
	cfg        Config
	sink       Sink
	observer   Observer
	resets     ResetObserver
	log        *slog.Logger
	kafka      *outage.Log
	topic      *outage.Log
	read       *outage.Log
	saving     *outage.Log
	group      sarama.ConsumerGroup // of the membership; its claims end before it is another
	joined     atomic.Bool
	stuck      stuck
	denied     stuck
	joining    atomic.Bool // from the wish to be a member until the session begins
	resetsSaid said

	worked       atomic.Bool // events were handled, by this process or one before
	workedBefore atomic.Bool // … before this session, so that their offsets are committed
}

var _ sarama.ConsumerGroupHandler = (*Consumer)(nil)

// NewConsumer returns a consumer that hands batches to sink. It connects in Run.
func NewConsumer(cfg Config, sink Sink, observer Observer, resets ResetObserver, log *slog.Logger) *Consumer {
	return &Consumer{
		cfg: cfg, sink: sink, observer: observer, resets: resets, log: log,
		kafka:  outage.New(log, "kafka consumer group"),
		topic:  outage.New(log, "kafka topic"),
		read:   outage.New(log, "reading of the kafka topic"),
		saving: outage.New(log, "saving of order events"),
	}
}

// Status returns nil while the consumer is a member of its group and reads, else
// a word on what keeps it from that; it names no host.
func (c *Consumer) Status() error {
	switch {
	case !c.joined.Load():
		return errNotJoined
	case c.stuck.now():
		return errStuck
	case c.denied.now():
		return errDenied
	}
	return nil
}

var (
	errNotJoined = errors.New("not joined: Kafka or the topic is absent, or the group is being joined")
	errStuck     = errors.New("stuck: a compressed batch is too large to unpack; the runbook says how to step over it")
	errDenied    = errors.New("joined, but not allowed to read the topic")
)

// rejoinAfter is the wait between tries to reach Kafka.
const rejoinAfter = time.Second

// Run consumes until ctx ends; then it commits what is marked and leaves the
// group. Absent brokers or an absent topic are waited for. worked says that
// events were handled before: a group without offsets has then lost them.
func (c *Consumer) Run(ctx context.Context, worked bool) {
	c.worked.Store(worked)
	for ctx.Err() == nil {
		err := c.member(ctx)
		if ctx.Err() != nil {
			return
		}
		c.failed(ctx, err)
		select {
		case <-time.After(rejoinAfter):
		case <-ctx.Done():
		}
	}
}

// member joins the group and consumes until that fails or ctx ends.
func (c *Consumer) member(ctx context.Context) (err error) {
	conf, err := c.cfg.sarama()
	if err != nil {
		return err
	}
	c.joining.Store(true)
	bound, done := c.outlivingUnlessJoining(ctx)
	defer done()
	boundBy(bound, conf)
	group, err := sarama.NewConsumerGroup(c.cfg.Brokers, c.cfg.GroupID, conf)
	if err != nil {
		return err
	}
	c.group = group
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for err := range group.Errors() {
			c.clientError(ctx, err)
		}
	}()
	defer func() {
		err = errors.Join(err, group.Close()) // leaves the group
		<-drained
	}()
	for ctx.Err() == nil {
		c.joining.Store(true)
		// Consume returns nil when the session ended and is to be joined anew.
		if err := group.Consume(ctx, []string{c.cfg.Topic}, c); err != nil {
			return err
		}
	}
	return nil
}

// outlivingUnlessJoining returns a context that ends when ctx has ended and the
// group is still not joined shutdownGrace later. A join lasts as long as the
// rebalance, in which one member may let all the others wait; a stop does not.
// There is no batch in hand then that could lose by it.
func (c *Consumer) outlivingUnlessJoining(ctx context.Context) (longer context.Context, done func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	late, forget := outliving(ctx, shutdownGrace)
	stop := context.AfterFunc(late, func() {
		if c.joining.Load() {
			cancel()
		}
	})
	return longer, func() { stop(); forget(); cancel() }
}

// clientError looks at what sarama cannot do by itself. It retries most things,
// so they are for whoever debugs; a batch that is too large and a missing right it
// retries for ever.
func (c *Consumer) clientError(ctx context.Context, err error) {
	switch {
	case errors.Is(err, sarama.ErrDecompressedBatchTooLarge):
		if c.stuck.again() {
			c.log.ErrorContext(ctx, "stuck at a compressed batch that is too large to unpack; the runbook says how to step over it",
				slog.Int("limit_bytes", maxDecompressedBatch), slog.Any("error", err))
		}
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		c.denied.again()
		c.read.Failed(ctx, explain(err))
	default:
		c.log.DebugContext(ctx, "kafka client error", slog.Any("error", err))
	}
}

// failed tells an absent topic, or one that is not ours to see, which somebody
// has to mend there, from whatever else keeps the consumer out.
func (c *Consumer) failed(ctx context.Context, err error) {
	switch {
	case err == nil:
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		c.kafka.Works(ctx)
		c.topic.Failed(ctx, explain(fmt.Errorf("topic %s: %w", c.cfg.Topic, err)))
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed): // which names the topic
		c.kafka.Works(ctx)
		c.topic.Failed(ctx, explain(err))
	default:
		c.kafka.Failed(ctx, explain(err))
	}
}

// Setup is called by sarama when the group was joined.
func (c *Consumer) Setup(session sarama.ConsumerGroupSession) error {
	c.joining.Store(false)
	c.joined.Store(true)
	c.workedBefore.Store(c.worked.Load())
	c.kafka.Works(session.Context())
	c.topic.Works(session.Context())
	c.log.InfoContext(session.Context(), "joined the consumer group",
		slog.String("group", c.cfg.GroupID), slog.Any("claims", session.Claims()[c.cfg.Topic]))
	return nil
}

// Cleanup is called by sarama when the session ended and its claims have returned.
func (c *Consumer) Cleanup(sarama.ConsumerGroupSession) error {
	c.joined.Store(false)
	return nil
}
