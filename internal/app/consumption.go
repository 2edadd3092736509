package app

import (
	"context"
	"time"

	"service-courier/internal/doctor"
	"service-courier/internal/gateway/order"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
)

// inspectTimeout bounds what Kafka is asked for a request, which itself has more.
const inspectTimeout = 3 * time.Second

// consumption asks Kafka, the breaker and the database how the consumption stands.
type consumption struct {
	kafka   kafka.Config
	breaker *order.Breaker
	health  *postgres.Health
}

var _ rest.Consumption = consumption{}

// Consumption implements rest.Consumption.
func (c consumption) Consumption(ctx context.Context) (rest.ConsumptionState, error) {
	state := rest.ConsumptionState{Topic: c.kafka.Topic, Group: c.kafka.GroupID, BreakerOpen: c.breaker.Tripped()}
	looks, err := c.health.LooksByReason(ctx)
	if err != nil {
		return state, err
	}
	for _, l := range looks {
		state.Looks = append(state.Looks, rest.PendingLooks(l))
	}
	ask, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	in, err := kafka.Inspect(ask, c.kafka)
	if err == nil {
		err = in.GroupErr
	}
	if err != nil {
		state.KafkaError = err.Error()
		return state, nil
	}
	return inspected(state, in), nil
}

// inspected adds what Kafka says. A topic that is absent, or of which nobody serves
// a partition, has a lag that nobody knows: that looks like none unless it is told.
func inspected(state rest.ConsumptionState, in kafka.Inspection) rest.ConsumptionState {
	if topic := topicFinding(state.Topic, in); topic.Status == doctor.Fail {
		state.KafkaError = topic.Detail + "; " + topic.Mend
	}
	state.GroupState, state.Members = in.Group.State, len(in.Group.Members)
	for _, p := range in.Partitions {
		if p.Leaderless {
			continue // its offsets are not known
		}
		state.Partitions = append(state.Partitions, rest.PartitionLag{
			Partition: p.ID, Oldest: p.Oldest, End: p.Newest, Committed: p.Committed, Lag: p.Lag(), RemovedBeforeReading: p.Lost(),
		})
	}
	return state
}
