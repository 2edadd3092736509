package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/outage"
	"service-courier/internal/usecase/records"
)

// TestRequestsOfAReportedOutage: a failure belongs to the outage of its own dependency, and
// only while that lasts.
func TestRequestsOfAReportedOutage(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	down := func(error) bool { return true }
	o := outages{outage.NewDependency(outage.New(log, "postgresql"), down), outage.NewDependency(outage.New(log, "kafka"), down), outage.New(log, "database schema"), order.NewBreaker(nil, nil, log)}
	ofDatabase, ofKafka := fmt.Errorf("x: %w", courier.ErrUnavailable), fmt.Errorf("x: %w", records.ErrNotRead)
	expect := func(when string, database, kafka, timeout bool) {
		t.Helper()
		for err, want := range map[error]bool{ofDatabase: database, ofKafka: kafka, context.DeadlineExceeded: timeout, courier.ErrOrdersUnavailable: false, errors.New("x"): false} {
			if o.reported(err) != want {
				t.Errorf("%s: %v is reported: %t", when, err, !want)
			}
		}
	}
	expect("before", false, false, false)
	task := outage.New(log, "task").On(o.brokers)
	task.Failed(t.Context(), io.EOF)
	expect("Kafka is away", false, true, true)
	task.Recovered(t.Context())
	expect("after", false, false, false)
	task.On(o.database).Failed(t.Context(), io.EOF)
	expect("PostgreSQL is away", true, false, true)
	task.Recovered(t.Context())
	o.schema.Failed(t.Context(), errors.New("no schema"))
	expect("the schema is missing", true, false, false)
}
