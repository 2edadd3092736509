package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Consumption reports how the consumption of order events stands.
type Consumption interface {
	// Status returns by the end of ctx. Its error matches the sentinels of package
	// courier; an unavailable Kafka is no error but a KafkaError, an unavailable
	// database a DatabaseError.
	Status(ctx context.Context) (ConsumerStatus, error)
}

// ConsumerStatus is the consumer group, its lag, and what is deferred.
type ConsumerStatus struct {
	Topic      string            `json:"topic" example:"order.status.changed"`
	GroupID    string            `json:"group_id" example:"service-courier"`
	KafkaError string            `json:"kafka_error,omitempty" doc:"why the lag is unknown, and how to fix it"`
	KafkaFix   string            `json:"kafka_fix,omitempty" doc:"what to do, which kafka_error ends with; absent if it is not known"`
	GroupState string            `json:"group_state,omitempty" doc:"as Kafka reports it" example:"Stable"`
	GroupError string            `json:"group_error,omitempty" doc:"why another program reads a part of the events, or all, and how to fix it"`
	GroupFix   string            `json:"group_fix,omitempty" doc:"what to do, which group_error ends with"`
	Members    int               `json:"members" minimum:"0" doc:"with the classic protocol"`
	TotalLag   *int64            `json:"total_lag" doc:"uncommitted records in all partitions; null while the lag is unknown"`
	Partitions []PartitionLag    `json:"partitions" nullable:"false"`
	Breaker    string            `json:"breaker" enum:"closed,open" doc:"open: service-order is unavailable, consumption is paused"`
	Rechecks   []PendingRechecks `json:"rechecks" nullable:"false"`
	Outbox     *OutboxLag        `json:"outbox,omitempty" doc:"events of assignments for other services; absent while KAFKA_ASSIGNMENT_TOPIC is empty or the database unavailable"`

	Backlog *Backlog `json:"backlog,omitempty" doc:"what waits for a courier, a dispatcher or an operator; absent while the database is unavailable"`

	DatabaseError string `json:"database_error,omitempty" doc:"why the rechecks, the outbox and the backlog are unknown"`
}

// Backlog is what waits for a courier, a dispatcher or an operator.
type Backlog struct {
	WaitingOrders     int     `json:"waiting_orders" minimum:"0" doc:"missing ones included"`
	WaitingMissing    int     `json:"waiting_missing_orders" minimum:"0" doc:"those of them that are missing"`
	LongestWait       float64 `json:"longest_wait_seconds" doc:"since this service first saw the order; without missing orders"`
	HeldOrders        int     `json:"held_orders" minimum:"0"`
	MissingOrders     int     `json:"missing_orders" minimum:"0" doc:"active orders that service-order answers 404 for"`
	LongestMissing    float64 `json:"longest_missing_seconds"`
	StateLost         bool    `json:"order_service_state_lost" doc:"service-order lost its state, and orders that it lost are still missing"`
	Couriers          int     `json:"couriers" minimum:"0"`
	AvailableCouriers int     `json:"available_couriers" minimum:"0"`
	DeadLetters       int     `json:"dead_letters" minimum:"0" doc:"pending ones"`
	OldestDeadLetter  float64 `json:"oldest_dead_letter_seconds"`
}

// OutboxLag is what the outbox has not published yet.
type OutboxLag struct {
	Topic    string     `json:"topic" example:"courier.assignment.changed"`
	Pending  int64      `json:"pending" minimum:"0" doc:"transitions that are not published yet, 1000000 at most"`
	OldestAt *time.Time `json:"oldest_at" doc:"time of the oldest one; null when there is none"`
}

// PartitionLag is the progress of the consumer group in one partition.
type PartitionLag struct {
	Partition            int32  `json:"partition" minimum:"0"`
	CommittedOffset      *int64 `json:"committed_offset" doc:"next record to read; null when nothing is committed"`
	OldestOffset         int64  `json:"oldest_offset" minimum:"0"`
	EndOffset            int64  `json:"end_offset" minimum:"0"`
	Lag                  int64  `json:"lag" minimum:"0"`
	RemovedBeforeReading int64  `json:"removed_before_reading" minimum:"0" doc:"records that Kafka removed before they were read"`
}

// PendingRechecks are the orders to be rechecked for one reason.
type PendingRechecks struct {
	Reason      string    `json:"reason" enum:"missing,ahead,unknown_status,unavailable"`
	Orders      int       `json:"orders" minimum:"0"`
	Due         int       `json:"due" minimum:"0" doc:"orders whose recheck is due"`
	MaxAttempts int       `json:"max_attempts" minimum:"0" doc:"most fetches counted for the recheck of one order, the first included"`
	NextAt      time.Time `json:"next_at" doc:"the next recheck"`
}

func (a *api) registerConsumer(consumption Consumption) {
	status := &shared[ConsumerStatus]{compute: consumption.Status, timeout: a.timeout}
	register(a, read, huma.Operation{
		OperationID: "get-consumer", Method: http.MethodGet, Path: versioned + "/consumer", Tags: []string{"consumer"},
		Summary: "Show the lag of consumer and outbox, pending rechecks and the backlog",
		Description: "The lag of each partition, the circuit breaker of this replica, and why orders are to be rechecked " +
			"(/api/v1/orders?state=pending_recheck lists them); what the outbox has not published yet; and how many orders wait, are on hold or missing. While Kafka is unavailable, the topic is absent or a partition has no leader, kafka_error gives the reason and total_lag is null; while the database is unavailable, database_error is set, rechecks is empty, outbox and backlog are absent. Requests of the same second get the same answer.",
		Errors: []int{http.StatusServiceUnavailable},
	}, func(ctx context.Context, _ *struct{}) (*output[ConsumerStatus], error) {
		now, err := status.get(ctx)
		return respond(now, err)
	})
}
