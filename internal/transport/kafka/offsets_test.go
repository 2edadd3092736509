package kafka

import (
	"log/slog"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// TestOffsetLost: partition 0 is read from its oldest record. The cause depends on
// the offsets that the group committed, there and in other partitions.
func TestOffsetLost(t *testing.T) {
	for name, c := range map[string]struct {
		p       PartitionState
		other   int64 // committed in another partition
		hasRead bool
		cause   string
		records int64
	}{
		"a new group":                             {PartitionState{Newest: 7, Committed: -1}, -1, false, "", 0},
		"a new group, old records gone":           {PartitionState{Oldest: 3, Newest: 7, Committed: -1}, -1, false, "", 0},
		"an empty partition":                      {PartitionState{Committed: -1}, -1, true, "", 0},
		"offsets expired, nothing removed":        {PartitionState{Newest: 7, Committed: -1}, -1, true, causeExpired, 0},
		"offsets expired, records removed":        {PartitionState{Oldest: 3, Newest: 7, Committed: -1}, -1, true, causeExpired, 0},
		"offsets expired, all removed":            {PartitionState{Oldest: 7, Newest: 7, Committed: -1}, -1, true, causeExpired, 0},
		"first records of one partition":          {PartitionState{Newest: 2, Committed: -1}, 5, true, "", 0},
		"first records of one partition, removed": {PartitionState{Oldest: 2, Newest: 4, Committed: -1}, 5, true, causeRemoved, 2},
		"records removed before they were read":   {PartitionState{Oldest: 9, Newest: 12, Committed: 4}, 5, false, causeRemoved, 5},
		"all removed, nothing left":               {PartitionState{Oldest: 9, Newest: 9, Committed: 4}, 5, false, causeRemoved, 5},
		"truncated":                               {PartitionState{Newest: 3, Committed: 4}, 5, false, causeTruncated, 0},
		"truncated to nothing":                    {PartitionState{Committed: 4}, 5, false, causeTruncated, 0},
		"committed meanwhile":                     {PartitionState{Newest: 7, Committed: 5}, 5, true, "", 0},
		"no leader":                               {PartitionState{Leaderless: true, Committed: -1}, 5, true, causeUnknown, 0},
	} {
		in := Inspection{Partitions: []PartitionState{c.p, {ID: 1, Newest: 9, Committed: c.other}}}
		if cause, _, records := offsetLost(in, 0, c.hasRead); cause != c.cause || records != c.records {
			t.Errorf("%s: %q, %d; want %q, %d", name, cause, records, c.cause, c.records)
		}
	}
	if cause, _, _ := offsetLost(Inspection{}, 0, true); cause != causeUnknown {
		t.Errorf("a partition that does not exist: %q", cause)
	}
}

// TestUnknownOffsetIsNotCommitted: if no broker answers, the group may still have its
// offset. It fails if checkOffsetLost treats an unknown cause as a loss: offset 0
// would overwrite it.
func TestUnknownOffsetIsNotCommitted(t *testing.T) {
	c := NewConsumer(Config{Brokers: []string{"127.0.0.1:1"}, Topic: topic}, nil, unobserved{}, unobserved{}, slog.New(slog.DiscardHandler))
	if oldest, lost := c.checkOffsetLost(t.Context(), 0); lost {
		t.Errorf("lost, oldest %d, although no broker answered", oldest)
	}
}

func TestRetention(t *testing.T) {
	for _, c := range []struct {
		policy, retention, segment string
		want                       time.Duration
		bad                        bool
	}{
		{"delete", "3600000", "60000", time.Hour + time.Minute, false},
		{"delete", "-1", "60000", Forever, false},
		{"delete", "9223372036854775807", "60000", Forever, false},
		{"compact", "3600000", "60000", Forever, false},
		{"compact,delete", "3600000", "60000", time.Hour + time.Minute, false},
		{"delete", "an hour", "60000", 0, true},
		{"delete", "", "", 0, true},
	} {
		var entries []sarama.ConfigEntry
		for name, value := range map[string]string{"retention.ms": c.retention, "segment.ms": c.segment} {
			if value != "" {
				entries = append(entries, sarama.ConfigEntry{Name: name, Value: value})
			}
		}
		entries = append([]sarama.ConfigEntry{{Name: "cleanup.policy", Value: c.policy}}, entries...)
		if got, err := retention(entries); got != c.want || (err != nil) != c.bad {
			t.Errorf("%+v: retention %v, %v", c, got, err)
		}
	}
}

// topicRetention expects a broker's defaults: seven days, plus seven days of a
// segment.
func topicRetention(b fixture) {
	got, err := TopicRetention(b.Context(), b.cfg)
	if want := 14 * 24 * time.Hour; err != nil || got != want {
		b.Errorf("TopicRetention = %v, %v; want %v", got, err, want)
	}
}
