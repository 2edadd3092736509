// Package kafka consumes order events: it decodes records, submits them in
// batches and marks their offsets after the commit. It also inspects topic and
// group, and publishes dead letters again. It knows nothing of couriers.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
)

// Sink processes batches.
type Sink interface {
	// Submit returns nil when the batch is committed. After an error the state is
	// unknown, and the batch is submitted again.
	Submit(ctx context.Context, b orderevent.Batch) error
}

// Observer observes the progress of the consumer.
type Observer interface {
	// Claimed is called when this member gets a partition. lag returns the number
	// of records not yet saved, if known; it may be called at any time.
	Claimed(partition int32, lag func() (records int64, known bool))
	// Released is called when this member gives the partition back.
	Released(partition int32)
	// Saved is called with the number of records saved, as events or dead letters.
	Saved(records int)
	// Panicked is called when a panic was recovered.
	Panicked()
}

// Consumer is a member of the consumer group.
type Consumer struct {
	cfg      Config
	sink     Sink
	observer Observer
	resets   ResetObserver
	log      *slog.Logger

	groupOutage  *outage.Reporter
	topicOutage  *outage.Reporter
	readOutage   *outage.Reporter
	submitOutage *outage.Reporter

	cause   atomic.Pointer[error] // why it is not joined, if known
	group   sarama.ConsumerGroup  // of the present membership, which outlives its claims
	joining atomic.Bool           // from the attempt to join until the session begins
	joined  atomic.Bool
	stuck   condition // records cannot be decoded, and the batch at fault is not found
	denied  condition // not allowed to read the topic
	stalled stalled

	failingMu  sync.Mutex
	failingFor map[int32]*atomic.Bool // by partition: sarama reported an error

	silentLog     rateLimiter
	unowned       unowned
	resetLog      rateLimiter
	hasRead       atomic.Bool // this or an earlier process handled events
	hadReadAtJoin atomic.Bool // hasRead when the session began; then offsets were committed before
}

var _ sarama.ConsumerGroupHandler = (*Consumer)(nil)

// NewConsumer returns a consumer. It connects in Run.
func NewConsumer(cfg Config, sink Sink, observer Observer, resets ResetObserver, log *slog.Logger) *Consumer {
	return &Consumer{
		cfg: cfg, sink: sink, observer: observer, resets: resets, log: log,
		stuck: condition{after: stuckAfter}, failingFor: make(map[int32]*atomic.Bool),
		groupOutage:  outage.New(log, "kafka consumer group"),
		topicOutage:  outage.New(log, "kafka topic"),
		readOutage:   outage.New(log, "reading the kafka topic"),
		submitOutage: outage.New(log, "saving order events"),
	}
}

// Needs makes the consumer report an outage of the storage, and one of the brokers, together
// with their other users.
func (c *Consumer) Needs(storage, brokers *outage.Dependency) {
	c.submitOutage.On(storage)
	c.groupOutage.On(brokers)
}

// ErrNotJoined matches the status of a consumer that is no member of its group.
var ErrNotJoined = errors.New("not joined")

var (
	errNotJoined = fmt.Errorf("%w: Kafka or the topic is missing, or the group is rebalancing", ErrNotJoined)
	errStuck     = errors.New("stuck: records cannot be decoded; see the log")
	errDenied    = errors.New("joined, but not allowed to read the topic")
)

// Status returns nil while the consumer is a member of its group and can read,
// else the reason, without host names.
func (c *Consumer) Status() error {
	switch {
	case !c.joined.Load():
		if cause := c.cause.Load(); cause != nil {
			return because(ErrNotJoined, *cause)
		}
		return errNotJoined
	case c.stuck.active():
		return errStuck
	case c.denied.active():
		return errDenied
	}
	return c.stalled.err()
}

// because returns state with the public cause and the fix of err.
func because(state, err error) error {
	if f, ok := errors.AsType[outage.Fixable](err); ok && f.Cause != "" {
		return outage.Fixable{Err: fmt.Errorf("%w: %s", state, f.Cause), Fix: f.Fix}
	}
	return fmt.Errorf("%w: the log has the error", state)
}

// rejoinInterval is the wait between attempts to join the group.
const rejoinInterval = time.Second

// Run consumes until ctx ends, then commits the marked offsets and leaves the
// group. It waits for missing brokers or a missing topic. hasRead: events were
// handled before, so a group without committed offsets has lost them.
func (c *Consumer) Run(ctx context.Context, hasRead bool) {
	c.hasRead.Store(hasRead)
	watched := make(chan struct{})
	go func() { defer close(watched); c.watchUnowned(ctx, unownedInterval) }()
	defer func() { <-watched }()
	for ctx.Err() == nil {
		err := c.consume(ctx)
		if ctx.Err() != nil {
			return
		}
		c.reportOutage(ctx, err)
		select {
		case <-time.After(rejoinInterval):
		case <-ctx.Done():
		}
	}
}

// consume joins the group and consumes until it fails or ctx ends.
func (c *Consumer) consume(ctx context.Context) (err error) {
	conf, err := c.cfg.sarama()
	if err != nil {
		return err
	}
	c.joining.Store(true)
	seeds, silent, err := c.cfg.seeds(ctx)
	if err != nil {
		return err
	}
	if len(silent) > 0 && c.silentLog.allow("") {
		c.log.WarnContext(ctx, "kafka brokers do not answer, using the others", slog.Any("brokers", silent))
	}
	connections, cancel := c.connectionContext(ctx)
	heard, watched := newAnswers(), make(chan error, 1)
	go func() {
		hung := c.awaitHung(connections, heard)
		if hung != nil {
			c.joined.Store(false)
			c.reportOutage(ctx, hung)
			cancel() // sarama would wait for each request
		}
		watched <- hung
	}()
	defer func() {
		cancel()
		if hung := <-watched; hung != nil {
			err = hung // the cause of what sarama returns
		}
	}()
	bindFetches(connections, conf, c.cfg.Brokers, nil, heard)
	client, err := sarama.NewClient(seeds, conf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	group, err := sarama.NewConsumerGroupFromClient(c.cfg.GroupID, client)
	if err != nil {
		return err
	}
	c.group = group
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for err := range group.Errors() {
			c.handleClientError(ctx, err)
		}
	}()
	defer func() {
		err = errors.Join(err, group.Close()) // leaves the group
		<-drained
	}()
	for ctx.Err() == nil && connections.Err() == nil {
		c.joining.Store(true)
		if err := awaitCoordinator(ctx, client, c.cfg.GroupID, coordinatorPatience); err != nil {
			return err
		}
		// Consume returns nil at the end of a session, to join again.
		if err := group.Consume(ctx, []string{c.cfg.Topic}, c); err != nil {
			return err
		}
	}
	return nil
}

// connectionContext outlives ctx, so that offsets are committed after the last
// batch. While the group is being joined it ends shutdownGrace after ctx: another
// member may delay the rebalance for long, and there is no batch to finish.
func (c *Consumer) connectionContext(ctx context.Context) (_ context.Context, cancel func()) {
	connections, end := context.WithCancel(context.WithoutCancel(ctx))
	delayed, release := withGrace(ctx, shutdownGrace)
	stop := context.AfterFunc(delayed, func() {
		if c.joining.Load() {
			end()
		}
	})
	return connections, func() { stop(); release(); end() }
}

// stuckAfter is longer than it takes to find and skip a batch.
const stuckAfter = 20 * time.Second

// handleClientError handles the errors that sarama retries for ever and reports here.
func (c *Consumer) handleClientError(ctx context.Context, err error) {
	if failed, ok := errors.AsType[*sarama.ConsumerError](err); ok {
		c.failing(failed.Partition).Store(true)
	}
	switch {
	case errors.Is(err, sarama.ErrInvalidMessage): // of checkedConn
		if c.stuck.observe() {
			c.log.ErrorContext(ctx, "records cannot be decoded, partitions stuck", slog.Any("error", err))
		}
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		c.denied.observe()
		c.readOutage.Failed(ctx, explain(err))
	default:
		c.log.DebugContext(ctx, "kafka client error", slog.Any("error", err))
	}
}

// failing returns the flag of a partition that sarama could not read. It is set for every
// partition of a broker, since sarama does not say which one is at fault.
func (c *Consumer) failing(partition int32) *atomic.Bool {
	c.failingMu.Lock()
	defer c.failingMu.Unlock()
	if c.failingFor[partition] == nil {
		c.failingFor[partition] = new(atomic.Bool)
	}
	return c.failingFor[partition]
}

// reportOutage separates a missing or forbidden topic from other causes.
func (c *Consumer) reportOutage(ctx context.Context, err error) {
	if err == nil {
		return
	}
	if errors.Is(err, sarama.ErrInconsistentGroupProtocol) || errors.Is(err, sarama.ErrGroupAuthorizationFailed) || errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable) {
		err = fmt.Errorf("group %s: %w", c.cfg.GroupID, err)
	}
	explained := explain(err)
	c.cause.Store(&explained)
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition), errors.Is(err, sarama.ErrTopicAuthorizationFailed): // names the topic
		c.groupOutage.Recovered(ctx)
		c.topicOutage.Failed(ctx, explained)
	default:
		c.groupOutage.Failed(ctx, explained)
	}
}

// Setup implements sarama.ConsumerGroupHandler: the group was joined.
func (c *Consumer) Setup(session sarama.ConsumerGroupSession) error {
	c.joining.Store(false)
	c.joined.Store(true)
	c.cause.Store(nil)
	c.hadReadAtJoin.Store(c.hasRead.Load())
	c.groupOutage.Recovered(session.Context())
	c.topicOutage.Recovered(session.Context())
	c.log.InfoContext(session.Context(), "consumer group joined",
		slog.String("group", c.cfg.GroupID), slog.Any("claims", session.Claims()[c.cfg.Topic]))
	return nil
}

// Cleanup implements sarama.ConsumerGroupHandler: the session has ended.
func (c *Consumer) Cleanup(sarama.ConsumerGroupSession) error {
	c.joined.Store(false)
	return nil
}

// conditionFor is how long a condition lasts after its last error; sarama repeats
// the error every Retry.Backoff.
const conditionFor = 10 * time.Second

// condition is a state that is known only by repeated errors.
type condition struct {
	after time.Duration // errors for a shorter time do not count
	log   rateLimiter

	mu          sync.Mutex
	first, last time.Time
}

// observe notes the error and reports whether to log it.
func (c *condition) observe() (logIt bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) >= conditionFor {
		c.first = time.Now()
	}
	c.last = time.Now()
	return c.lasts() && c.log.allow("")
}

func (c *condition) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Time{}
}

func (c *condition) active() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.last) < conditionFor && c.lasts()
}

func (c *condition) lasts() bool { return c.last.Sub(c.first) >= c.after }

// rateLimiter allows one log message per key and minute.
type rateLimiter struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (r *rateLimiter) allow(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.last[key]; ok && time.Since(last) < time.Minute {
		return false
	}
	if r.last == nil {
		r.last = make(map[string]time.Time)
	}
	r.last[key] = time.Now()
	return true
}
