package kafka

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Why the group's place in a partition was lost, so that it is read from its
// oldest record.
const (
	causeRemoved   = "removed"   // records went before they were read
	causeTruncated = "truncated" // the partition ends before the committed offset: made anew, or cut in a failover
	causeExpired   = "expired"   // the group has no committed offset any more
	causeUnknown   = "unknown"   // Kafka could not be asked
)

// ResetObserver is told when the group's place in a partition was lost.
type ResetObserver interface {
	// Reset tells why (one of a few constant words), and how many records are
	// gone, 0 where that is not known.
	Reset(cause string, records int64)
}

// resetCheck bounds asking Kafka why a partition is read from the oldest.
const resetCheck = 5 * time.Second

// lostPlace is called for a partition that is read from its oldest record. It
// tells when the group has read further before, or ought to have, and returns the
// oldest record's offset where it is known: what the records that are gone told,
// only a sweep finds. A new group is no news.
func (c *Consumer) lostPlace(ctx context.Context, partition int32) (oldest int64, lost bool) {
	check, cancel := context.WithTimeout(ctx, resetCheck)
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
		cause, p, records = placeLost(in, partition, c.workedBefore.Load())
	}
	if cause == "" {
		return 0, false
	}
	c.resets.Reset(cause, records)
	if c.resetsSaid.due(cause) {
		c.log.WarnContext(ctx, "the group's place in the topic was lost; going on from the oldest record, and sweeping",
			slog.String("cause", cause), slog.String("topic", c.cfg.Topic), slog.Int("partition", int(partition)),
			slog.Int64("records_gone", records), slog.Any("error", err))
	}
	return p.Oldest, cause != causeUnknown
}

// placeLost says why a partition is read from the oldest, "" when nothing was
// lost. worked: this service has handled events before, so that a group without
// any committed offset has lost them. A partition that alone has none is
// another matter: nothing was ever read from it.
func placeLost(in Inspection, partition int32, worked bool) (cause string, p PartitionState, records int64) {
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
	case p.Committed >= 0, !worked, p.Newest == 0:
		return "", p, 0 // committed meanwhile; a new group; nothing to have read
	case !committed:
		return causeExpired, p, 0
	case p.Oldest > 0:
		return causeRemoved, p, p.Oldest
	}
	return "", p, 0
}

// said remembers when each cause was told: all partitions of a topic lose their
// place together, and one line is enough.
type said struct {
	mu sync.Mutex
	at map[string]time.Time
}

// due reports that the cause is to be told, once a minute.
func (s *said) due(cause string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.at[cause]; ok && time.Since(at) < time.Minute {
		return false
	}
	if s.at == nil {
		s.at = make(map[string]time.Time)
	}
	s.at[cause] = time.Now()
	return true
}
