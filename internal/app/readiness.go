package app

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/gateway/order"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
)

// readiness looks at the parts. What it says is shown to anybody who asks, so
// it names no host and no user; the log has the errors.
type readiness struct {
	pool     *pgxpool.Pool
	consumer *kafka.Consumer
	orders   order.OrderClient
}

var _ rest.Readiness = readiness{}

// Check implements rest.Readiness. PostgreSQL and service-order are asked at
// the same time, since either may take the whole of ctx to say nothing.
func (r readiness) Check(ctx context.Context) []rest.PartStatus {
	neighbour := make(chan rest.PartStatus, 1)
	go func() { neighbour <- r.orderService(ctx) }()
	database, schema := r.database(ctx)
	return []rest.PartStatus{database, schema, r.group(), <-neighbour}
}

// absent names the parts that are not there.
func (r readiness) absent(ctx context.Context) (names []string) {
	for _, part := range r.Check(ctx) {
		if !part.OK {
			names = append(names, part.Name)
		}
	}
	return names
}

func (r readiness) database(ctx context.Context) (database, schema rest.PartStatus) {
	database = rest.PartStatus{Name: rest.PartPostgreSQL, OK: true, Detail: "answers"}
	schema = rest.PartStatus{Name: rest.PartSchema, OK: true, Detail: "up to date"}
	switch err := postgres.CheckSchema(ctx, r.pool); {
	case errors.Is(err, postgres.ErrNoSchema):
		schema.OK, schema.Detail = false, err.Error()
	case err != nil:
		database.OK, database.Detail = false, "cannot be asked"
		schema.OK, schema.Detail = false, "not known while PostgreSQL cannot be asked"
	}
	return database, schema
}

func (r readiness) group() rest.PartStatus {
	if err := r.consumer.Status(); err != nil {
		return rest.PartStatus{Name: rest.PartConsumerGroup, Detail: err.Error()}
	}
	return rest.PartStatus{Name: rest.PartConsumerGroup, OK: true, Detail: "joined"}
}

// orderService asks for an order that nobody has: a 404 is an answer.
func (r readiness) orderService(ctx context.Context) rest.PartStatus {
	part := rest.PartStatus{Name: rest.PartOrderService, Optional: true, OK: true, Detail: "answers"}
	if _, err := r.orders.Get(ctx, "readyz"); err != nil && !errors.Is(err, order.ErrNotFound) {
		part.OK, part.Detail = false, "cannot be asked: orders wait until it can"
	}
	return part
}
