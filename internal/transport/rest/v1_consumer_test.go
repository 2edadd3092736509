package rest_test

import (
	"context"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/transport/rest"
)

func (f *fake) Consumption(ctx context.Context) (rest.ConsumptionState, error) {
	return f.consumption, f.answer(ctx)
}

func consumerExchanges() []exchange {
	const line = "GET /api/v1/consumer"
	whole := rest.ConsumptionState{
		Topic: "t", Group: "g", GroupState: "Stable", Members: 2,
		Partitions: []rest.PartitionLag{
			{Partition: 0, Oldest: 1, End: 9, Committed: 4, Lag: 5},
			{Partition: 1, Oldest: 3, End: 5, Committed: -1, Lag: 2, RemovedBeforeReading: 3},
		},
		Looks: []rest.PendingLooks{{Reason: "missing", Orders: 3, Due: 1, MostTries: 4, Next: time.Unix(0, 0).In(time.FixedZone("", 3600))}},
	}
	noKafka := rest.ConsumptionState{Topic: "t", Group: "g", KafkaError: "refused", BreakerOpen: true}
	noLeader := rest.ConsumptionState{Topic: "t", Group: "g", KafkaError: "no leader", Partitions: []rest.PartitionLag{{Partition: 1, End: 2, Committed: -1, Lag: 2}}}
	return []exchange{
		{
			name: "consumer", line: line, fake: fake{consumption: whole}, status: 200, is: jsonType,
			want: `{"topic":"t","group_id":"g","group_state":"Stable","members":2,"total_lag":7,"partitions":[` +
				`{"partition":0,"committed_offset":4,"oldest_offset":1,"end_offset":9,"lag":5,"removed_before_reading":0},` +
				`{"partition":1,"committed_offset":null,"oldest_offset":3,"end_offset":5,"lag":2,"removed_before_reading":3}],` +
				`"breaker":"closed","looks":[{"reason":"missing","orders":3,"due":1,"most_tries":4,"next_look_due_at":"1970-01-01T00:00:00Z"}]}`,
		},
		{
			name: "consumer: no Kafka, no service-order", line: line, fake: fake{consumption: noKafka}, status: 200, is: jsonType,
			want: `{"topic":"t","group_id":"g","kafka_error":"refused","members":0,"total_lag":null,"partitions":[],"breaker":"open","looks":[]}`,
		},
		{
			name: "consumer: a partition is not known", line: line, fake: fake{consumption: noLeader}, status: 200, is: jsonType,
			want: `{"topic":"t","group_id":"g","kafka_error":"no leader","members":0,"total_lag":null,"partitions":[` +
				`{"partition":1,"committed_offset":null,"oldest_offset":0,"end_offset":2,"lag":2,"removed_before_reading":0}],"breaker":"closed","looks":[]}`,
		},
		{
			name: "consumer: no database", line: line, fake: fake{err: courier.ErrUnavailable},
			status: 503, is: problemType, want: told("storage_unavailable"), retry: "2",
		},
	}
}
