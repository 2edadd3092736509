package rest_test

import (
	"context"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/transport/rest"
)

func (f *fake) Status(ctx context.Context) (rest.ConsumerStatus, error) {
	return f.consumption, f.answer(ctx)
}

func consumerExchanges() []exchange {
	const line = "GET /api/v1/consumer"
	committed, total, oldest := int64(4), int64(7), time.Unix(60, 0).UTC()
	whole := rest.ConsumerStatus{
		Topic: "t", GroupID: "g", GroupState: "Stable", Members: 2, TotalLag: &total, Breaker: "closed",
		Partitions: []rest.PartitionLag{
			{Partition: 0, OldestOffset: 1, EndOffset: 9, CommittedOffset: &committed, Lag: 5},
			{Partition: 1, OldestOffset: 3, EndOffset: 5, Lag: 2, RemovedBeforeReading: 3},
		},
		Rechecks: []rest.PendingRechecks{{Reason: "missing", Orders: 3, Due: 1, MaxAttempts: 4, NextAt: time.Unix(0, 0).UTC()}},
		Outbox:   &rest.OutboxLag{Topic: "events", Pending: 2, OldestAt: &oldest},
		Backlog:  &rest.Backlog{WaitingOrders: 17, WaitingMissing: 8, LongestWait: 1.5, HeldOrders: 2, MissingOrders: 9, LongestMissing: 60, Couriers: 3, AvailableCouriers: 1, DeadLetters: 4, OldestDeadLetter: 5},
	}
	noKafka := rest.ConsumerStatus{
		Topic: "t", GroupID: "g", KafkaError: "refused", Breaker: "open", Partitions: []rest.PartitionLag{}, Rechecks: []rest.PendingRechecks{},
	}
	return []exchange{
		{
			name: "consumer", line: line, fake: fake{consumption: whole}, status: 200, is: jsonType,
			want: `{"topic":"t","group_id":"g","group_state":"Stable","members":2,"total_lag":7,"partitions":[` +
				`{"partition":0,"committed_offset":4,"oldest_offset":1,"end_offset":9,"lag":5,"removed_before_reading":0},` +
				`{"partition":1,"committed_offset":null,"oldest_offset":3,"end_offset":5,"lag":2,"removed_before_reading":3}],` +
				`"breaker":"closed","rechecks":[{"reason":"missing","orders":3,"due":1,"max_attempts":4,"next_at":"1970-01-01T00:00:00Z"}],"outbox":{"topic":"events","pending":2,"oldest_at":"1970-01-01T00:01:00Z"},` +
				`"backlog":{"waiting_orders":17,"waiting_missing_orders":8,"longest_wait_seconds":1.5,"held_orders":2,"missing_orders":9,"longest_missing_seconds":60,"order_service_state_lost":false,"couriers":3,"available_couriers":1,"dead_letters":4,"oldest_dead_letter_seconds":5}}`,
		},
		{
			name: "consumer: no Kafka, no service-order", line: line, fake: fake{consumption: noKafka}, status: 200, is: jsonType,
			want: `{"topic":"t","group_id":"g","kafka_error":"refused","members":0,"total_lag":null,"partitions":[],"breaker":"open","rechecks":[]}`,
		},
		{
			name: "consumer: no database", line: line, fake: fake{err: courier.ErrUnavailable},
			status: 503, is: problemType, want: problemBody("storage_unavailable"), retry: "2",
		},
	}
}
