package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
)

// TestLagThatNobodyKnowsIsNotNone: without a topic, or a leader of a partition,
// there are no records to count, which must not look like a group that is done.
func TestLagThatNobodyKnowsIsNotNone(t *testing.T) {
	served := kafka.PartitionState{ID: 0, Oldest: 1, Newest: 9, Committed: 4}
	lag := rest.PartitionLag{Partition: 0, Oldest: 1, End: 9, Committed: 4, Lag: 5}
	for name, c := range map[string]struct {
		in   []kafka.PartitionState
		want rest.ConsumptionState
	}{
		"all is known": {[]kafka.PartitionState{served}, rest.ConsumptionState{Topic: "t", Partitions: []rest.PartitionLag{lag}}},
		"no topic": {nil, rest.ConsumptionState{
			Topic: "t", KafkaError: "t does not exist; create it, or correct KAFKA_ORDER_TOPIC; nobody here makes topics",
		}},
		"no leader": {[]kafka.PartitionState{served, {ID: 1, Leaderless: true, Committed: 7}}, rest.ConsumptionState{
			Topic: "t", Partitions: []rest.PartitionLag{lag}, KafkaError: "t: no broker serves partition 1; start the brokers that have these partitions",
		}},
	} {
		if diff := cmp.Diff(c.want, inspected(rest.ConsumptionState{Topic: "t"}, kafka.Inspection{Partitions: c.in})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
