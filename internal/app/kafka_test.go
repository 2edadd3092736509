package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
)

// TestUnknownLagIsNotZero: without a topic, or a leader of a partition, the lag is
// unknown, which must not look like a group that has processed everything.
func TestUnknownLagIsNotZero(t *testing.T) {
	served := kafka.PartitionState{ID: 0, Oldest: 1, Newest: 9, Committed: 4}
	committed, total := int64(4), int64(5)
	lag := rest.PartitionLag{Partition: 0, OldestOffset: 1, EndOffset: 9, CommittedOffset: &committed, Lag: 5}
	untouched := rest.PartitionLag{Partition: 1, OldestOffset: 7, EndOffset: 7}
	for name, c := range map[string]struct {
		in         []kafka.PartitionState
		partitions []rest.PartitionLag
		total      *int64
		kafkaError string
		kafkaFix   string
	}{
		"all known": {
			[]kafka.PartitionState{served, {ID: 1, Oldest: 7, Newest: 7, Committed: -1}}, []rest.PartitionLag{lag, untouched}, &total, "", "",
		},
		"no topic": {
			nil,
			[]rest.PartitionLag{},
			nil, "the topic does not exist: t: kafka server: Request was for a topic or partition that does not exist on this broker; create it, or correct KAFKA_ORDER_TOPIC; the service does not create topics",
			"create it, or correct KAFKA_ORDER_TOPIC; the service does not create topics",
		},
		"no leader": {
			[]kafka.PartitionState{served, {ID: 1, Leaderless: true, Committed: 7}},
			[]rest.PartitionLag{lag},
			nil,
			"t: no broker serves partition 1; start the brokers that have these partitions",
			"start the brokers that have these partitions",
		},
	} {
		want := newConsumerStatus("t", "g")
		want.Partitions, want.TotalLag, want.KafkaError, want.KafkaFix = c.partitions, c.total, c.kafkaError, c.kafkaFix
		if diff := cmp.Diff(want, withInspection(newConsumerStatus("t", "g"), kafka.Inspection{Partitions: c.in})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestGroupErrorBesidesLag: a group that another program shares has a lag too.
func TestGroupErrorBesidesLag(t *testing.T) {
	in := kafka.Inspection{Group: kafka.GroupState{State: "Stable", Type: "consumer"}, Partitions: []kafka.PartitionState{{Newest: 3}}}
	status := withInspection(newConsumerStatus("t", "g"), in)
	if !strings.HasSuffix(status.GroupError, status.GroupFix) || !strings.Contains(status.GroupFix, "--members --group g") || status.TotalLag == nil || *status.TotalLag != 3 {
		t.Errorf("%+v", status)
	}
}

// TestOutageBelongsToOneDependency: a refused connection looks alike in both; the outbox needs both.
func TestOutageBelongsToOneDependency(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), "postgres://u@127.0.0.1:1/d", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	_, database := postgres.NewLeader(pool, postgres.OutboxLock).Lead(t.Context(), nil)
	_, brokers := kafka.Inspect(t.Context(), kafka.Config{Brokers: []string{"127.0.0.1:1"}, Topic: "t", GroupID: "g"})
	for err, ofDatabase := range map[error]bool{database: true, brokers: false} {
		if postgres.Down(err) != ofDatabase || kafka.Down(err) == ofDatabase {
			t.Errorf("%v: outage of PostgreSQL %t, of Kafka %t", err, postgres.Down(err), kafka.Down(err))
		}
	}
}
