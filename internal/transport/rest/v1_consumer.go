package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Consumption tells how the consumption of order events stands.
type Consumption interface {
	// Consumption returns by the end of ctx. The error matches the sentinels of the
	// domain; that Kafka cannot be asked is none, but part of the state.
	Consumption(ctx context.Context) (ConsumptionState, error)
}

// ConsumptionState is what of Kafka is read, and what waits elsewhere.
type ConsumptionState struct {
	Topic, Group string
	KafkaError   string // why the lag is not known, and how to mend it; the partitions are those of which something is
	GroupState   string // Kafka's word for it
	Members      int
	Partitions   []PartitionLag
	BreakerOpen  bool // service-order is down for everybody, as this replica sees it
	Looks        []PendingLooks
}

// PartitionLag is how far the group has come in a partition.
type PartitionLag struct {
	Partition                 int32
	Oldest, End               int64
	Committed                 int64 // -1: nothing is
	Lag, RemovedBeforeReading int64
}

// PendingLooks are the orders that are looked at again for one reason.
type PendingLooks struct {
	Reason      string
	Orders, Due int
	MostTries   int
	Next        time.Time
}

type consumerAPI struct{ consumption Consumption }

func (a *api) registerConsumer(consumption Consumption) {
	register(a, read, huma.Operation{
		OperationID: "get-consumer", Method: http.MethodGet, Path: versioned + "/consumer", Tags: []string{"consumer"},
		Summary: "Tell what waits: events in Kafka, and orders that are looked at again",
		Description: "The lag of every partition, the circuit breaker before service-order as this replica sees it, and why orders are looked at again " +
			"(/api/v1/orders?state=looking lists them). While Kafka cannot be asked, or the topic is absent or a partition of it has no leader, kafka_error says what is wrong and total_lag is null.",
		Errors: []int{http.StatusServiceUnavailable},
	}, consumerAPI{consumption}.get)
}

type consumerBody struct {
	Topic      string             `json:"topic" example:"order.status.changed"`
	GroupID    string             `json:"group_id" example:"service-courier"`
	KafkaError string             `json:"kafka_error,omitempty" doc:"why the lag is not known, and what to do about it"`
	GroupState string             `json:"group_state,omitempty" doc:"Kafka's word for it" example:"Stable"`
	Members    int                `json:"members" minimum:"0"`
	TotalLag   *int64             `json:"total_lag" doc:"events that are not committed, of all partitions"`
	Partitions []partitionLagBody `json:"partitions" nullable:"false"`
	Breaker    string             `json:"breaker" enum:"closed,open" doc:"open: service-order is down for everybody, and consumption pauses"`
	Looks      []pendingLooksBody `json:"looks" nullable:"false"`
}

type partitionLagBody struct {
	Partition            int32  `json:"partition" minimum:"0"`
	CommittedOffset      *int64 `json:"committed_offset" doc:"the next record to read; null when nothing is committed"`
	OldestOffset         int64  `json:"oldest_offset" minimum:"0"`
	EndOffset            int64  `json:"end_offset" minimum:"0"`
	Lag                  int64  `json:"lag" minimum:"0"`
	RemovedBeforeReading int64  `json:"removed_before_reading" minimum:"0" doc:"records that Kafka removed before they were read"`
}

type pendingLooksBody struct {
	Reason      string    `json:"reason" enum:"missing,ahead,unknown_status,unavailable"`
	Orders      int       `json:"orders" minimum:"0"`
	Due         int       `json:"due" minimum:"0" doc:"those of them whose time has come"`
	MostTries   int       `json:"most_tries" minimum:"0" doc:"of the order that was looked at most often"`
	NextLookDue time.Time `json:"next_look_due_at"`
}

type consumerOutput struct{ Body consumerBody }

func (c consumerAPI) get(ctx context.Context, _ *struct{}) (*consumerOutput, error) {
	s, err := c.consumption.Consumption(ctx)
	if err != nil {
		return nil, err
	}
	body := consumerBody{
		Topic: s.Topic, GroupID: s.Group, KafkaError: s.KafkaError, GroupState: s.GroupState, Members: s.Members,
		Partitions: make([]partitionLagBody, len(s.Partitions)), Breaker: "closed", Looks: make([]pendingLooksBody, len(s.Looks)), // never null
	}
	if s.BreakerOpen {
		body.Breaker = "open"
	}
	if s.KafkaError == "" {
		body.TotalLag = new(int64)
	}
	for i, p := range s.Partitions {
		body.Partitions[i] = partitionLagBody{p.Partition, nil, p.Oldest, p.End, p.Lag, p.RemovedBeforeReading}
		if p.Committed >= 0 {
			body.Partitions[i].CommittedOffset = &p.Committed
		}
		if body.TotalLag != nil {
			*body.TotalLag += p.Lag
		}
	}
	for i, l := range s.Looks {
		body.Looks[i] = pendingLooksBody{l.Reason, l.Orders, l.Due, l.MostTries, l.Next.UTC()}
	}
	return &consumerOutput{body}, nil
}
