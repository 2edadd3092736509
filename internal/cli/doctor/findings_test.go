package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/kafka"
)

// Findings that no server in a test produces. Those of a real one are in
// test/operator.
func TestFindings(t *testing.T) {
	stable := func(members int, p ...kafka.PartitionState) kafka.Inspection {
		return kafka.Inspection{Partitions: p, Group: kafka.GroupState{State: "Stable", Members: make([]kafka.Member, members)}}
	}
	joining := stable(1)
	joining.Group.State = "PreparingRebalance"
	for name, c := range map[string]struct {
		finding Finding
		status  Status
		text    string
	}{
		"PostgreSQL 14":        {versionFinding(140012, "14.12", ""), Fail, "14.12"},
		"PostgreSQL 15":        {versionFinding(150000, "15.0", ""), OK, "15.0, without TLS"},
		"clock ahead":          {clockFinding(90*time.Second, time.Millisecond), Warn, "1m30s ahead of"},
		"clock behind":         {clockFinding(-2*time.Second, time.Millisecond), Warn, "2s behind"},
		"clock, a slow answer": {clockFinding(2*time.Second, 3*time.Second), OK, "less than"},
		"seven violations":     {invariantsFinding(make([]postgres.Violation, 7)), Fail, "and 2 more"},
		"no couriers":          {queueFinding(postgres.QueueState{}), Warn, "couriers create"},
		"a short queue":        {queueFinding(postgres.QueueState{Couriers: 1, Waiting: postgres.Backlog{Count: 2, Oldest: time.Minute}}), OK, "waiting: 2, the oldest for 1m0s"},
		"some are missing": {
			queueFinding(postgres.QueueState{Couriers: 1, Waiting: postgres.Backlog{Count: 3, Oldest: time.Minute}, Missing: 2}), OK,
			"waiting: 3 (2 missing in service-order, which get no courier), the oldest for 1m0s; on hold: 0; free couriers: 0 of 1",
		},
		"all are missing": {
			queueFinding(postgres.QueueState{Couriers: 1, Available: 1, Waiting: postgres.Backlog{Count: 2}, Missing: 2}), OK,
			"waiting: 2 (2 missing in service-order, which get no courier); on hold: 0; free couriers: 1 of 1",
		},
		"a long wait":        {queueFinding(postgres.QueueState{Couriers: 1, Waiting: postgres.Backlog{Count: 1, Oldest: 26 * time.Hour}}), Warn, "26h0m"},
		"no leader":          {topicFinding("t", kafka.Inspection{Partitions: []kafka.PartitionState{{ID: 0}, {ID: 4, Leaderless: true}}}), Fail, "partition 4"},
		"event topic":        {eventTopicFinding("t", kafka.EventTopic{Partitions: 6, CleanupPolicy: "delete"}), OK, "6 partitions, cleanup.policy delete"},
		"compacted events":   {eventTopicFinding("t", kafka.EventTopic{CleanupPolicy: "compact,delete"}), Warn, "removes the earlier events"},
		"some missing":       {missingFinding(2, time.Hour, false), Warn, "missing in service-order: 2 active, the oldest for 1h0m"},
		"state lost":         {missingFinding(9, time.Hour, true), Warn, "service-order lost its state"},
		"group not readable": {groupFinding("g", kafka.Inspection{GroupErr: errors.New("not allowed")}), Fail, "not allowed"},
		"group joining":      {groupFinding("g", joining), Warn, "joining"},
		"added partitions":   {groupFinding("g", stable(1, kafka.PartitionState{ID: 6})), Warn, "no member reads the partitions [6]"},
		"large lag":          {groupFinding("g", stable(1, kafka.PartitionState{Newest: maxLag + 1})), Warn, "lag: 10001"},
		"records lost":       {groupFinding("g", stable(1, kafka.PartitionState{Oldest: 7, Newest: 9})), Warn, "removed 7 records"},
		"topic recreated":    {groupFinding("g", stable(1, kafka.PartitionState{Newest: 1, Committed: 9})), Warn, "recreated"},
		"bad .env": {
			settingsFinding(errors.New("the file .env: line 3: want NAME=value, as in .env.example")), Fail, "line 3",
		},
	} {
		all := strings.Join(append(c.finding.More, c.finding.Detail, c.finding.Fix), "\n")
		if c.finding.Status != c.status || !strings.Contains(all, c.text) || strings.Contains(all, "sesame") {
			t.Errorf("%s: %+v, want %s and %q", name, c.finding, c.status, c.text)
		}
		if c.status != OK && c.finding.Fix == "" {
			t.Errorf("%s: no fix", name)
		}
	}
}
