package kafka

import (
	"log/slog"
	"testing"
)

// TestPlaceLost: partition 0 is read from its oldest record. What is an alarm
// depends on what the group had committed, there and elsewhere.
func TestPlaceLost(t *testing.T) {
	for name, c := range map[string]struct {
		p         PartitionState
		elsewhere int64 // committed of another partition
		worked    bool
		cause     string
		records   int64
	}{
		"a new group":                             {PartitionState{Newest: 7, Committed: -1}, -1, false, "", 0},
		"a new group, old records gone":           {PartitionState{Oldest: 3, Newest: 7, Committed: -1}, -1, false, "", 0},
		"nothing to have read":                    {PartitionState{Committed: -1}, -1, true, "", 0},
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
		in := Inspection{Partitions: []PartitionState{c.p, {ID: 1, Newest: 9, Committed: c.elsewhere}}}
		if cause, _, records := placeLost(in, 0, c.worked); cause != c.cause || records != c.records {
			t.Errorf("%s: %q, %d; want %q, %d", name, cause, records, c.cause, c.records)
		}
	}
	if cause, _, _ := placeLost(Inspection{}, 0, true); cause != causeUnknown {
		t.Errorf("a partition that is not there: %q", cause)
	}
}

// TestUnknownPlaceIsNotCommitted: a group whose brokers cannot be asked may have its
// place still. It fails when lostPlace takes an unknown cause for a loss: offset 0 would
// be committed over it.
func TestUnknownPlaceIsNotCommitted(t *testing.T) {
	c := NewConsumer(Config{Brokers: []string{"127.0.0.1:1"}, Topic: topic}, nil, unobserved{}, unobserved{}, slog.New(slog.DiscardHandler))
	if oldest, lost := c.lostPlace(t.Context(), 0); lost {
		t.Errorf("lost, and the oldest is %d, though no broker was asked", oldest)
	}
}
