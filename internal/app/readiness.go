package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/gateway/order"
	"service-courier/internal/outage"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
)

// readiness checks the components. The result needs no token, so it names no host and no
// user; the log has the errors.
type readiness struct {
	pool     *pgxpool.Pool
	consumer *kafka.Consumer
	// orders is service-order behind its circuit breaker.
	orders interface {
		Check(ctx context.Context) error
	}
	// contain is App.contain.
	contain func(ctx context.Context, component string, run func(context.Context)) (panicked bool)
}

var _ rest.Readiness = readiness{}

// Check implements rest.Readiness. It queries PostgreSQL and service-order at the same
// time, since either may use up the whole of ctx.
func (r readiness) Check(ctx context.Context) []rest.Component {
	orderService := make(chan rest.Component, 1)
	go func() {
		c := rest.Component{Name: rest.ComponentOrderService, Optional: true, Detail: "the check failed"}
		r.contain(ctx, "readiness", func(ctx context.Context) { c = r.orderService(ctx) })
		orderService <- c
	}()
	database, schema := r.database(ctx)
	return []rest.Component{database, schema, r.group(schema.OK), <-orderService}
}

func (r readiness) database(ctx context.Context) (database, schema rest.Component) {
	database = rest.Component{Name: rest.ComponentPostgreSQL, OK: true, Detail: "answers"}
	schema = rest.Component{Name: rest.ComponentSchema, OK: true, Detail: "up to date"}
	err := postgres.CheckSchema(ctx, r.pool)
	if err == nil {
		err = postgres.CheckWritable(ctx, r.pool)
	}
	switch {
	case errors.Is(err, postgres.ErrSchema):
		schema.OK, schema.Detail, schema.Fix = false, err.Error(), outage.FixOf(err)
	case err != nil:
		database.OK, database.Detail, database.Fix = false, outage.Public(err, "PostgreSQL does not answer in time"), outage.FixOf(err)
		schema.OK, schema.Detail, schema.DependsOn = false, "not known: depends on postgresql", rest.ComponentPostgreSQL
	}
	return database, schema
}

func (r readiness) group(hasSchema bool) rest.Component {
	switch err := r.consumer.Status(); {
	case errors.Is(err, kafka.ErrNotJoined) && !hasSchema && outage.FixOf(err) == "": // Kafka has no fault of its own
		return rest.Component{Name: rest.ComponentConsumerGroup, Detail: "not joined: waits for PostgreSQL and its schema", DependsOn: rest.ComponentSchema}
	case err != nil:
		return rest.Component{Name: rest.ComponentConsumerGroup, Detail: err.Error(), Fix: outage.FixOf(err)}
	}
	c := rest.Component{Name: rest.ComponentConsumerGroup, OK: true, Detail: "joined"}
	if unowned := r.consumer.Unowned(); len(unowned) > 0 { // another replica would not read them either
		c.Detail += fmt.Sprintf("; no member reads the partitions %v", unowned)
	}
	return c
}

func (r readiness) orderService(ctx context.Context) rest.Component {
	c := rest.Component{Name: rest.ComponentOrderService, Optional: true, OK: true, Detail: "answers"}
	if err := r.orders.Check(ctx); err != nil {
		err = order.Explain(err)
		c.OK, c.Detail, c.Fix = false, outage.Public(err, ""), outage.FixOf(err)
	}
	return c
}
