package metrics

import (
	"context"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"service-courier/internal/usecase/outbox"
)

// events are the metrics of the outbox.
type events struct{ published, skipped prometheus.Counter }

func newEvents(f factory) events {
	return events{
		published: f.counter("outbox_published_total", "Events that this replica published, again after an error."),
		skipped:   f.counter("outbox_skipped_total", "Events that Kafka will never accept."),
	}
}

// EventsPublished implements kafka.EventObserver.
func (e events) EventsPublished(n int) { e.published.Add(float64(n)) }

// EventSkipped implements kafka.EventObserver.
func (e events) EventSkipped() { e.skipped.Inc() }

// RegisterOutbox adds how many transitions are not published yet.
func (m *Metrics) RegisterOutbox(lag func(context.Context) (outbox.Lag, error)) {
	m.factory.gaugeFunc("outbox_pending", "Transitions that are not published yet; NaN if PostgreSQL does not answer.",
		func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), gaugesTimeout)
			defer cancel()
			l, err := lag(ctx)
			if err != nil {
				return math.NaN()
			}
			return float64(l.Pending)
		})
}
