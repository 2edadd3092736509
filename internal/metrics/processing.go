package metrics

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/usecase/orderevent"
)

// seconds are buckets from a GET on the same machine to the longest batch.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// processing are the metrics of the path of an event.
type processing struct {
	hints       prometheus.Counter
	batchSize   prometheus.Observer
	outcomes    *prometheus.CounterVec
	transitions *prometheus.CounterVec
	assignments prometheus.Counter
	deadLetters prometheus.Counter
	retries     prometheus.Counter
	panics      prometheus.Counter
	phases      map[orderevent.Phase]prometheus.Observer // no label look-up on the hot path
	commits     prometheus.Collector                     // phases[PhaseCommit]
	fetches     *prometheus.HistogramVec
}

func newProcessing(f factory) processing {
	phases := f.histograms("phase_duration_seconds",
		"Duration of the phases: a whole batch, its GETs (fetch), its statements (save), its COMMIT, and a match that made assignments.", seconds, "phase")
	p := processing{
		hints:       f.counter("hints_total", "Hints reconciled: events, rechecks and resync, before coalescing."),
		batchSize:   f.histograms("batch_hints", "Hints in one batch.", []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}).WithLabelValues(),
		outcomes:    f.counters("orders_reconciled_total", "Orders reconciled, by outcome.", "outcome"),
		transitions: f.counters("order_transitions_total", "Orders that changed state, by new state.", "to"),
		assignments: f.counter("assignments_total", "Orders assigned to a courier, by matching or a dispatcher."),
		deadLetters: f.counter("dead_letters_total", "Records saved as dead letters."),
		retries:     f.counter("transaction_retries_total", "Retries of a batch's transaction, after a deadlock, a lock timeout or a lost race."),
		panics:      f.counter("panics_total", "Panics recovered while processing orders; the log has the stack."),
		phases:      make(map[orderevent.Phase]prometheus.Observer),
		fetches:     f.histograms("order_fetch_duration_seconds", "Duration of fetches of one order from service-order, with the wait for a connection, by transport and result.", seconds, "transport", "result"),
	}
	for _, phase := range []orderevent.Phase{
		orderevent.PhaseBatch, orderevent.PhaseFetch, orderevent.PhaseSave, orderevent.PhaseCommit, orderevent.PhaseMatch,
	} {
		p.phases[phase] = phases.WithLabelValues(string(phase))
	}
	p.commits = p.phases[orderevent.PhaseCommit].(prometheus.Histogram)
	return p
}

// Begin implements orderevent.Observer. A match that assigned nothing is not observed:
// there are four a second.
func (p processing) Begin(ctx context.Context, phase orderevent.Phase, _ ...orderevent.Hint) (context.Context, orderevent.End) {
	began := time.Now()
	return ctx, func(orders int, _ error) {
		if phase != orderevent.PhaseMatch || orders > 0 {
			p.phases[phase].Observe(time.Since(began).Seconds())
		}
	}
}

// Reconciled implements orderevent.Observer.
func (p processing) Reconciled(b orderevent.BatchResult) {
	p.hints.Add(float64(b.Hints))
	p.batchSize.Observe(float64(b.Hints))
	for outcome, n := range b.Outcomes {
		p.outcomes.WithLabelValues(string(outcome)).Add(float64(n))
	}
	for _, t := range b.Transitions {
		p.transitions.WithLabelValues(string(t.To)).Inc()
	}
	p.deadLetters.Add(float64(b.DeadLetters))
	p.retries.Add(float64(max(0, b.Tries-1)))
}

// Panicked implements orderevent.Observer.
func (p processing) Panicked() { p.panics.Inc() }

// Coalesced implements orderevent.Observer.
func (p processing) Coalesced(hints int) { p.hints.Add(float64(hints)) }

// Matched implements orderevent.Observer.
func (p processing) Matched(assignments []orderevent.Assignment) {
	p.assignments.Add(float64(len(assignments)))
	p.transitions.WithLabelValues(string(courier.StateAssigned)).Add(float64(len(assignments)))
}

// MeasureFetches returns a client that measures the fetches of next, by transport: http
// or grpc.
func (p processing) MeasureFetches(transport string, next order.OrderClient) order.OrderClient {
	by := func(result string) prometheus.Observer { return p.fetches.WithLabelValues(transport, result) }
	return fetches{next, by("found"), by("not_found"), by("unknown"), by("unavailable")}
}

type fetches struct {
	next                                  order.OrderClient
	found, notFound, unknown, unavailable prometheus.Observer
}

// Get implements order.OrderClient.
func (f fetches) Get(ctx context.Context, id courier.OrderID) (order.Order, error) {
	began := time.Now()
	o, err := f.next.Get(ctx, id)
	result := f.found
	switch {
	case errors.Is(err, order.ErrNotFound):
		result = f.notFound
	case errors.Is(err, order.ErrCodeUnknown):
		result = f.unknown
	case err != nil:
		result = f.unavailable
	}
	result.Observe(time.Since(began).Seconds())
	return o, err
}

// Served implements rest.RequestObserver.
func (m *Metrics) Served(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Refused implements rest.RequestObserver.
func (m *Metrics) Refused(code string) { m.refusals.WithLabelValues(code).Inc() }
