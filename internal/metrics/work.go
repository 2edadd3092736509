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

// seconds are the buckets of durations: from a GET on the same machine to the
// longest that a batch may take.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// work is how long things take and how often they have to be done again.
type work struct {
	phases   *prometheus.HistogramVec
	byPhase  map[orderevent.Phase]prometheus.Observer // the hot path looks no label up
	retries  prometheus.Counter
	gets     *prometheus.HistogramVec
	requests *prometheus.HistogramVec
}

func newWork(registry prometheus.Registerer) work {
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: seconds}, labels)
	}
	w := work{
		phases: histogram("phase_duration_seconds",
			"How long the phases of the work take: a whole batch, its GETs (ask), its statements (save), its COMMIT, and a match that made assignments.", "phase"),
		byPhase: make(map[orderevent.Phase]prometheus.Observer),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "transaction_retries_total", Help: "Tries of a batch's transaction beyond the first: a deadlock, a lock timeout or a lost race.",
		}),
		gets: histogram("order_get_duration_seconds", "How long a GET of service-order takes, with the wait for its turn, by result.", "result"),
		requests: histogram("http_request_duration_seconds",
			"How long HTTP requests take, by method, route and status; the live feed is counted when it ends, as 0 s.", "method", "route", "code"),
	}
	for _, p := range []orderevent.Phase{
		orderevent.PhaseBatch, orderevent.PhaseAsk, orderevent.PhaseSave, orderevent.PhaseCommit, orderevent.PhaseMatch,
	} {
		w.byPhase[p] = w.phases.WithLabelValues(string(p))
	}
	registry.MustRegister(w.phases, w.retries, w.gets, w.requests)
	return w
}

// Begin implements orderevent.Observer. A match that found nothing to do is not
// observed: there are four a second.
func (w work) Begin(ctx context.Context, p orderevent.Phase, _ ...orderevent.Hint) (context.Context, orderevent.End) {
	began := time.Now()
	return ctx, func(orders int, _ error) {
		if p != orderevent.PhaseMatch || orders > 0 {
			w.byPhase[p].Observe(time.Since(began).Seconds())
		}
	}
}

// Served implements rest.RequestObserver.
func (w work) Served(method, route string, status int, took time.Duration) {
	w.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// MeasureGets returns a client that times what it asks of next.
func (w work) MeasureGets(next order.OrderClient) order.OrderClient {
	return gets{
		next:  next,
		found: w.gets.WithLabelValues("found"), notFound: w.gets.WithLabelValues("not_found"), unavailable: w.gets.WithLabelValues("unavailable"),
	}
}

type gets struct {
	next                         order.OrderClient
	found, notFound, unavailable prometheus.Observer
}

// Get implements order.OrderClient.
func (g gets) Get(ctx context.Context, id courier.OrderID) (order.Order, error) {
	began := time.Now()
	o, err := g.next.Get(ctx, id)
	result := g.found
	switch {
	case errors.Is(err, order.ErrNotFound):
		result = g.notFound
	case err != nil:
		result = g.unavailable
	}
	result.Observe(time.Since(began).Seconds())
	return o, err
}
