package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/metrics"
	"service-courier/internal/outage"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/worker"
)

// Bounds of the queries of Kafka outside the consumer. Those of a request are together
// shorter than its own timeout, and shorter than the client's.
const (
	inspectTimeout   = 3 * time.Second
	databaseTimeout  = time.Second
	redriveTimeout   = 4 * time.Second
	retentionTimeout = 10 * time.Second
)

// KafkaConfig returns the settings of every Kafka client.
func KafkaConfig(c config.Config) kafka.Config {
	return kafka.Config{
		Brokers: c.KafkaBrokers, Topic: c.KafkaTopic, GroupID: c.KafkaGroupID,
		Security: kafka.Security{
			TLS: c.KafkaTLS, CAFile: c.KafkaTLSCAFile, CertFile: c.KafkaTLSCertFile, KeyFile: c.KafkaTLSKeyFile,
			Mechanism: c.KafkaSASLMechanism, Username: c.KafkaSASLUsername,
			Password: string(c.KafkaSASLPassword), PasswordFile: c.KafkaSASLPasswordFile,
		},
	}
}

// eventsConfig returns the settings of the topic of assignment events, which no group of this
// service reads.
func eventsConfig(c config.Config) kafka.Config {
	events := KafkaConfig(c)
	events.Topic, events.GroupID = c.KafkaAssignmentTopic, ""
	return events
}

// topicRetention returns a function that reads how long Kafka keeps an event.
func topicRetention(cfg config.Config) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		ctx, cancel := context.WithTimeout(ctx, retentionTimeout)
		defer cancel()
		return kafka.TopicRetention(ctx, KafkaConfig(cfg))
	}
}

// resetObserver counts lost offsets and starts a resync, which finds what the
// unread records were about.
type resetObserver struct {
	metrics  *metrics.Metrics
	resyncer *worker.Resyncer
}

// Reset implements kafka.ResetObserver.
func (o resetObserver) Reset(cause string, records int64) {
	o.metrics.Reset(cause, records)
	o.resyncer.Trigger()
}

// consumerStatus reads the state of the consumption from Kafka, the circuit breaker
// and the database.
type consumerStatus struct {
	kafka   kafka.Config
	breaker *order.Breaker
	health  *postgres.Health
	topic   string // of the outbox; "" while it is off
	outbox  *postgres.Outbox
}

var _ rest.Consumption = consumerStatus{}

// Status implements rest.Consumption.
func (c consumerStatus) Status(ctx context.Context) (rest.ConsumerStatus, error) {
	status := newConsumerStatus(c.kafka.Topic, c.kafka.GroupID)
	if c.breaker.Tripped() {
		status.Breaker = "open"
	}
	switch err := c.database(ctx, &status); { // the lag is in Kafka
	case errors.Is(err, courier.ErrUnavailable), errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		status.DatabaseError = outage.Public(err, courier.ErrUnavailable.Error())
	case err != nil:
		return status, err
	}
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	in, err := kafka.Inspect(ctx, c.kafka)
	if err == nil {
		err = in.GroupErr
	}
	if err != nil {
		status.KafkaError, status.KafkaFix = err.Error(), outage.FixOf(err)
		return status, nil
	}
	return withInspection(status, in), nil
}

// database adds what is in the database: all of it, or nothing beside an error.
func (c consumerStatus) database(ctx context.Context, status *rest.ConsumerStatus) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	rechecks, err := c.health.RechecksByReason(ctx)
	if err != nil {
		return err
	}
	backlog, err := c.backlog(ctx)
	if err != nil {
		return err
	}
	if status.Outbox, err = c.outboxLag(ctx); err != nil {
		return err
	}
	status.Backlog = backlog
	for _, r := range rechecks {
		status.Rechecks = append(status.Rechecks, rest.PendingRechecks{
			Reason: r.Reason, Orders: r.Orders, Due: r.Due, MaxAttempts: r.MaxAttempts, NextAt: r.Next.UTC(),
		})
	}
	return nil
}

func (c consumerStatus) backlog(ctx context.Context) (*rest.Backlog, error) {
	queue, err := c.health.Queue(ctx)
	if err != nil {
		return nil, err
	}
	active, err := c.health.ActiveOrders(ctx)
	if err != nil {
		return nil, err
	}
	letters, err := c.health.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	return &rest.Backlog{
		WaitingOrders: queue.Waiting.Count, WaitingMissing: queue.Missing, LongestWait: queue.Waiting.Oldest.Seconds(), HeldOrders: queue.Held,
		MissingOrders: active.Missing, LongestMissing: active.MissingOldest.Seconds(), StateLost: active.StateLost(),
		Couriers: queue.Couriers, AvailableCouriers: queue.Available,
		DeadLetters: letters.Count, OldestDeadLetter: letters.Oldest.Seconds(),
	}, nil
}

// outboxLag returns nil while the outbox is off.
func (c consumerStatus) outboxLag(ctx context.Context) (*rest.OutboxLag, error) {
	if c.topic == "" {
		return nil, nil
	}
	lag, err := c.outbox.Lag(ctx)
	if err != nil {
		return nil, err
	}
	status := &rest.OutboxLag{Topic: c.topic, Pending: lag.Pending}
	if lag.Pending > 0 {
		at := lag.OldestAt.UTC()
		status.OldestAt = &at
	}
	return status, nil
}

func newConsumerStatus(topic, group string) rest.ConsumerStatus {
	return rest.ConsumerStatus{
		Topic: topic, GroupID: group, Breaker: "closed",
		Partitions: []rest.PartitionLag{}, Rechecks: []rest.PendingRechecks{}, // never null
	}
}

// withInspection adds what Kafka reports. Without a topic, or a leader of a partition,
// the lag is unknown, and total_lag null: 0 would mean that everything is processed.
func withInspection(status rest.ConsumerStatus, in kafka.Inspection) rest.ConsumerStatus {
	var total int64
	status.GroupState, status.Members = in.Group.State, len(in.Group.Members)
	if err := in.GroupProblem(status.GroupID); err != nil {
		status.GroupError, status.GroupFix = err.Error(), outage.FixOf(err)
	}
	for _, p := range in.Partitions {
		if p.Leaderless {
			continue // its offsets are unknown
		}
		lag := rest.PartitionLag{Partition: p.ID, OldestOffset: p.Oldest, EndOffset: p.Newest, Lag: p.Lag(), RemovedBeforeReading: p.Lost()}
		if p.Committed >= 0 {
			lag.CommittedOffset = &p.Committed
		}
		status.Partitions = append(status.Partitions, lag)
		total += lag.Lag
	}
	if err := in.TopicProblem(status.Topic); err != nil {
		status.KafkaError, status.KafkaFix = err.Error(), outage.FixOf(err)
	} else {
		status.TotalLag = &total
	}
	return status
}

// redriver serves the API's dead letters. It connects to Kafka for each redrive,
// since they are rare.
type redriver struct {
	*deadletters.DeadLetters
	kafka kafka.Config
	log   *slog.Logger
}

var _ rest.DeadLetters = redriver{}

// Redrive implements rest.DeadLetters. It continues when the client disconnects:
// the result of a record that was sent has to be stored.
func (r redriver) Redrive(ctx context.Context, id int64) (deadletters.RecordPosition, error) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), redriveTimeout)
	defer cancel()
	producer, err := kafka.NewProducer(bounded, r.kafka)
	if err != nil {
		return deadletters.RecordPosition{}, fmt.Errorf("%w: %w", deadletters.ErrNotPublished, err)
	}
	defer func() {
		if err := producer.Close(); err != nil { // the result of the redrive is known by now
			r.log.InfoContext(ctx, "closing kafka producer failed", slog.Any("error", err))
		}
	}()
	return r.DeadLetters.Redrive(ctx, id, producer)
}
