package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/IBM/sarama"
)

// Causes of a lost offset: the partition is read from its oldest record.
const (
	causeRemoved   = "removed"   // records were removed before they were read
	causeTruncated = "truncated" // the partition ends before the committed offset: recreated, or cut in a failover
	causeExpired   = "expired"   // the group has no committed offsets any more
	causeUnknown   = "unknown"   // Kafka did not answer
)

// ResetObserver observes lost offsets.
type ResetObserver interface {
	// Reset is called with the cause, a constant word, and the number of records
	// lost, 0 if unknown.
	Reset(cause string, records int64)
}

// offsetCheckTimeout bounds the inspection of a lost offset.
const offsetCheckTimeout = 5 * time.Second

// checkOffsetLost is called for a partition that is read from its oldest record.
// It reports a lost offset, since only a resync repairs the events of removed
// records, and returns the oldest offset if the cause is known. A new group has
// lost nothing.
func (c *Consumer) checkOffsetLost(ctx context.Context, partition int32) (oldest int64, lost bool) {
	check, cancel := context.WithTimeout(ctx, offsetCheckTimeout)
	defer cancel()
	in, err := Inspect(check, c.cfg)
	if ctx.Err() != nil {
		return 0, false
	}
	if err == nil {
		err = in.GroupErr
	}
	cause, p, records := causeUnknown, PartitionState{}, int64(0)
	if err == nil {
		cause, p, records = offsetLost(in, partition, c.hadReadAtJoin.Load())
	}
	if cause == "" {
		return 0, false
	}
	c.resets.Reset(cause, records)
	if c.resetLog.allow(cause) { // all partitions of a topic lose their offsets together
		c.log.WarnContext(ctx, "committed offset lost, reading from the oldest record",
			slog.String("cause", cause), slog.String("topic", c.cfg.Topic), slog.Int("partition", int(partition)),
			slog.Int64("records_lost", records), slog.Any("error", err))
	}
	return p.Oldest, cause != causeUnknown
}

// offsetLost returns why a partition is read from its oldest record, "" if nothing
// was lost. hasRead: the service has handled events before, so a group without any
// committed offset has lost them. If only this partition has none, nothing was ever
// read from it.
func offsetLost(in Inspection, partition int32, hasRead bool) (cause string, p PartitionState, records int64) {
	i := slices.IndexFunc(in.Partitions, func(p PartitionState) bool { return p.ID == partition })
	if i < 0 || in.Partitions[i].Leaderless {
		return causeUnknown, p, 0
	}
	committed := slices.ContainsFunc(in.Partitions, func(p PartitionState) bool { return p.Committed >= 0 })
	switch p = in.Partitions[i]; {
	case p.Ahead():
		return causeTruncated, p, 0
	case p.Lost() > 0:
		return causeRemoved, p, p.Lost()
	case p.Committed >= 0, !hasRead, p.Newest == 0:
		return "", p, 0 // committed meanwhile; a new group; an empty partition
	case !committed:
		return causeExpired, p, 0
	case p.Oldest > 0:
		return causeRemoved, p, p.Oldest
	}
	return "", p, 0
}

// Forever is the retention of a topic without a time limit.
const Forever time.Duration = -1

// TopicRetention returns how long a record of the topic can be read: Forever, or
// retention.ms plus segment.ms, since Kafka removes whole segments. ctx bounds it.
func TopicRetention(ctx context.Context, cfg Config) (_ time.Duration, err error) {
	conf, err := cfg.sarama()
	if err != nil {
		return 0, err
	}
	seeds, _, err := cfg.seeds(ctx)
	if err != nil {
		return 0, err
	}
	admin, err := sarama.NewClusterAdmin(seeds, withoutRetries(ctx, conf, cfg.Brokers))
	if err != nil {
		return 0, explainTimeout(ctx, err)
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	entries, err := topicSettings(admin, cfg.Topic, "cleanup.policy", "retention.ms", "segment.ms")
	if err != nil {
		return 0, explainTimeout(ctx, fmt.Errorf("describe the settings of topic %s: %w", cfg.Topic, err))
	}
	return retention(entries)
}

func topicSettings(admin sarama.ClusterAdmin, topic string, names ...string) (entries []sarama.ConfigEntry, err error) {
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: names}
	described, err := admin.DescribeConfigs([]*sarama.ConfigResource{&resource}, sarama.DescribeConfigsOptions{})
	for _, d := range described {
		if err == nil && d.ErrorCode != sarama.ErrNoError {
			err = d.ErrorCode
		}
		entries = append(entries, d.Configs...)
	}
	return entries, err
}

func retention(entries []sarama.ConfigEntry) (time.Duration, error) {
	var sum time.Duration
	found := 0
	for _, e := range entries {
		switch e.Name {
		case "cleanup.policy":
			if e.Value == "compact" {
				return Forever, nil
			}
		case "retention.ms", "segment.ms":
			ms, err := strconv.ParseInt(e.Value, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("setting %s of the topic: %w", e.Name, err)
			}
			const longest = int64(100*365*24*time.Hour) / int64(time.Millisecond)
			if ms < 0 || ms > longest {
				return Forever, nil
			}
			sum += time.Duration(ms) * time.Millisecond
			found++
		}
	}
	if found < 2 {
		return 0, errors.New("the broker does not return retention.ms and segment.ms of the topic")
	}
	return sum, nil
}
