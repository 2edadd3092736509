package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/records"
)

const (
	// recordTimeout bounds reading one partition: compaction and transactions leave
	// offsets without a record, so that the last one may never arrive.
	recordTimeout = 1500 * time.Millisecond
	maxValue      = 4 << 10 // bytes of a value that are kept
	// recordsIdle is how long the client stays open after a read.
	recordsIdle = 30 * time.Second
	// recordWait is how long a broker waits for records: closing a partition waits as long.
	recordWait = 100 * time.Millisecond
)

// Records reads a topic for the events page, with a client of its own and without a
// consumer group: nothing is committed, and the consumer is not disturbed. The client connects at the
// first read, serves all readers, and closes some time after the last one. With a GroupID it
// also reads what that group has committed.
type Records struct {
	cfg  Config
	idle time.Duration

	mu       sync.Mutex // held while reading
	client   sarama.Client
	consumer sarama.Consumer
	cancel   context.CancelFunc // closes the connections
	used     time.Time          // end of the last read
}

var _ records.OrderTopic = (*Records)(nil)

// NewRecords returns a reader that is not connected. The caller must call Close.
func NewRecords(cfg Config) *Records { return &Records{cfg: cfg, idle: recordsIdle} }

// Name implements records.Topic.
func (r *Records) Name() string { return r.cfg.Topic }

// Read implements records.Topic.
func (r *Records) Read(ctx context.Context, q records.Query) ([]records.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, err := r.readAll(ctx, q)
	if err != nil {
		r.close()
		return nil, r.explain(ctx, err)
	}
	r.used = time.Now()
	time.AfterFunc(r.idle, r.closeIdle)
	return found, nil
}

// explain adds cause and fix to an error. Without a group, the topic is that of the outbox.
func (r *Records) explain(ctx context.Context, err error) error {
	kind := records.ErrNotRead
	if errors.Is(err, sarama.ErrTopicAuthorizationFailed) {
		kind = records.ErrForbidden
	}
	if r.cfg.GroupID == "" {
		err = explainEvents(err, "READ")
	}
	return fmt.Errorf("%w: %w", kind, explainTimeout(ctx, err))
}

func (r *Records) readAll(ctx context.Context, q records.Query) (found []records.Record, err error) {
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	unbind := context.AfterFunc(ctx, r.cancel) // sarama's calls take no context
	defer func() {
		if !unbind() {
			err = errors.Join(err, ctx.Err())
		}
	}()
	partitions, err := r.partitions(q)
	if err != nil {
		return nil, err
	}
	parts := make([][]records.Record, len(partitions))
	errs := make([]error, len(partitions))
	var all sync.WaitGroup
	for i, p := range partitions {
		all.Go(func() { parts[i], errs[i] = r.read(ctx, p, q) })
	}
	all.Wait()
	return slices.Concat(parts...), errors.Join(errs...)
}

// connect opens the client, unless it is open.
func (r *Records) connect(ctx context.Context) error {
	if r.client != nil {
		return nil
	}
	conf, err := r.cfg.sarama()
	if err != nil {
		return err
	}
	// The connections end with the client, not with the context of one read.
	connections, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unbind := context.AfterFunc(ctx, cancel)
	defer unbind()
	conf = withoutRetries(connections, conf, r.cfg.Brokers)
	bindFetches(connections, conf, r.cfg.Brokers, nil, nil)
	conf.Consumer.MaxWaitTime = recordWait
	client, err := sarama.NewClient(r.cfg.Brokers, conf)
	if err != nil {
		cancel()
		return err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		cancel()
		return errors.Join(err, client.Close())
	}
	r.client, r.consumer, r.cancel = client, consumer, cancel
	return nil
}

// partitions returns the partitions that a query reads, with their committed offsets.
func (r *Records) partitions(q records.Query) ([]PartitionState, error) {
	ids, err := r.client.Partitions(r.cfg.Topic)
	if err != nil {
		return nil, err
	}
	var in Inspection
	for _, id := range ids {
		if q.Partition >= 0 && q.Partition != id {
			continue
		}
		state, err := partition(r.client, r.cfg.Topic, id)
		if err != nil {
			return nil, err
		}
		if !state.Leaderless {
			in.Partitions = append(in.Partitions, state)
		}
	}
	if r.cfg.GroupID == "" {
		return in.Partitions, nil
	}
	admin, err := sarama.NewClusterAdminFromClient(r.client) // closing it would close the client
	if err != nil {
		return nil, err
	}
	if err := in.readCommitted(admin, r.cfg); err != nil && !errors.Is(err, sarama.ErrGroupIDNotFound) {
		return nil, err
	}
	return in.Partitions, nil
}

// closeIdle closes the client unless there was a read meanwhile.
func (r *Records) closeIdle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.used) >= r.idle {
		r.close()
	}
}

func (r *Records) close() {
	if r.client != nil {
		r.cancel()
		_ = r.consumer.Close()
		_ = r.client.Close()
		r.client, r.consumer = nil, nil
	}
}

// Close closes the client.
func (r *Records) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close()
}

// read returns at most q.Limit records of one partition.
func (r *Records) read(ctx context.Context, p PartitionState, q records.Query) ([]records.Record, error) {
	from := p.Newest - int64(q.Limit)
	if q.Offset >= 0 {
		from = q.Offset
	}
	if !q.Since.IsZero() {
		const epoch = 0 // smaller numbers are no times to Kafka: -1 means the end
		at, err := r.client.GetOffset(r.cfg.Topic, p.ID, max(epoch, q.Since.UnixMilli()))
		if err != nil {
			return nil, err
		}
		from = at
		if at < 0 {
			return nil, nil // nothing is that new
		}
	}
	from = max(from, p.Oldest)
	if from >= p.Newest {
		return nil, nil
	}
	messages, err := r.consumer.ConsumePartition(r.cfg.Topic, p.ID, from)
	if err != nil {
		return nil, err
	}
	defer func() { _ = messages.Close() }()
	limited, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	var found []records.Record
	for len(found) < q.Limit {
		select {
		case m := <-messages.Messages():
			found = append(found, topicRecord(m, p.Committed))
			if m.Offset >= p.Newest-1 {
				return found, nil
			}
		case err := <-messages.Errors():
			if errors.Is(err, sarama.ErrInvalidMessage) { // a batch that cannot be decoded: its dead letter says why
				return found, nil
			}
			return found, err
		case <-limited.Done():
			return found, nil
		}
	}
	return found, nil
}

func topicRecord(m *sarama.ConsumerMessage, committed int64) records.Record {
	r := records.Record{
		Partition: m.Partition, Offset: m.Offset, At: courier.ClampTime(m.Timestamp), Key: m.Key, Value: m.Value, Size: len(m.Value),
		Committed: m.Offset < committed,
	}
	if len(r.Value) > maxValue {
		r.Value = r.Value[:maxValue]
	}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, deadletters.Header{Key: h.Key, Value: h.Value})
	}
	return r
}

// Publish implements records.OrderTopic with a producer of its own, since records are rare.
func (r *Records) Publish(ctx context.Context, record deadletters.Record) (deadletters.RecordPosition, error) {
	producer, err := NewProducer(ctx, r.cfg)
	if err != nil {
		return deadletters.RecordPosition{}, fmt.Errorf("%w: %w", deadletters.ErrNotPublished, err)
	}
	at, err := producer.Publish(ctx, record)
	if err != nil {
		err = fmt.Errorf("%w: %w", deadletters.ErrNotPublished, err)
	}
	_ = producer.Close() // the result is known
	return at, err
}
