package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"service-courier/internal/doctor"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/kafka"
)

// TestFindings are those that no server in a test can be brought to give. What
// a real one gives is in test/operator.
func TestFindings(t *testing.T) {
	stable := func(members int, p ...kafka.PartitionState) kafka.Inspection {
		return kafka.Inspection{Partitions: p, Group: kafka.GroupState{State: "Stable", Members: make([]kafka.Member, members)}}
	}
	joining := stable(1)
	joining.Group.State = "PreparingRebalance"
	for name, c := range map[string]struct {
		finding doctor.Finding
		status  doctor.Status
		says    string
	}{
		"PostgreSQL 14":        {versionFinding(140012, "14.12", ""), doctor.Fail, "14.12"},
		"PostgreSQL 15":        {versionFinding(150000, "15.0", ""), doctor.OK, "15.0, in the clear"},
		"clock ahead":          {clockFinding(90*time.Second, time.Millisecond), doctor.Warn, "1m30s ahead of"},
		"clock behind":         {clockFinding(-2*time.Second, time.Millisecond), doctor.Warn, "2s behind"},
		"clock, a slow answer": {clockFinding(2*time.Second, 3*time.Second), doctor.OK, "agree"},
		"seven violations":     {invariantsFinding(make([]postgres.Violation, 7)), doctor.Fail, "and 2 more"},
		"no couriers":          {lineFinding(postgres.LineState{}), doctor.Warn, "POST /courier"},
		"a short line":         {lineFinding(postgres.LineState{Couriers: 1, Waiting: postgres.Backlog{Count: 2, Oldest: time.Minute}}), doctor.OK, "2 wait, the oldest for 1m0s"},
		"a long wait":          {lineFinding(postgres.LineState{Couriers: 1, Waiting: postgres.Backlog{Count: 1, Oldest: 26 * time.Hour}}), doctor.Warn, "26h0m"},
		"no leader":            {topicFinding("t", kafka.Inspection{Partitions: []kafka.PartitionState{{ID: 0}, {ID: 4, Leaderless: true}}}), doctor.Fail, "partition 4"},
		"group not readable":   {groupFinding("g", kafka.Inspection{GroupErr: errors.New("not allowed")}), doctor.Fail, "not allowed"},
		"group joining":        {groupFinding("g", joining), doctor.Warn, "joining"},
		"far behind":           {groupFinding("g", stable(1, kafka.PartitionState{Newest: farBehind + 1})), doctor.Warn, "lag: 10001"},
		"records lost":         {groupFinding("g", stable(1, kafka.PartitionState{Oldest: 7, Newest: 9})), doctor.Warn, "removed 7 records"},
		"topic made anew":      {groupFinding("g", stable(1, kafka.PartitionState{Newest: 1, Committed: 9})), doctor.Warn, "made anew"},
		"bad .env": {
			settingsFinding(errors.New(`read the file .env: unexpected character ";" in variable name near "PASSWORD;sesame"`)), doctor.Fail, "unexpected character",
		},
	} {
		all := strings.Join(append(c.finding.More, c.finding.Detail, c.finding.Mend), "\n")
		if c.finding.Status != c.status || !strings.Contains(all, c.says) || strings.Contains(all, "sesame") {
			t.Errorf("%s: %+v, want %s and %q", name, c.finding, c.status, c.says)
		}
		if c.status != doctor.OK && c.finding.Mend == "" {
			t.Errorf("%s: it does not say how to mend it", name)
		}
	}
}
