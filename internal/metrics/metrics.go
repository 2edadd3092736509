// Package metrics exports Prometheus metrics of what the use cases, the consumer, the
// HTTP server and the periodic tasks report.
package metrics

import (
	"net/http"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"service-courier/internal/buildinfo"
	"service-courier/internal/usecase/orderevent"
)

const namespace = "courier"

// Metrics are the metrics of one process, on a registry of their own.
type Metrics struct {
	processing
	consumer
	requests *prometheus.HistogramVec
	refusals *prometheus.CounterVec
	tasks
	events
	factory  factory
	registry *prometheus.Registry
}

var _ orderevent.Observer = (*Metrics)(nil)

// New returns the metrics, with those of the Go runtime and the process.
func New() *Metrics {
	registry := prometheus.NewRegistry()
	f := factory{promauto.With(registry)}
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := buildinfo.Read()
	f.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the build is in the labels.",
		ConstLabels: prometheus.Labels{"version": build.Version, "commit": build.Commit, "go": build.Go},
	}).Set(1)
	return &Metrics{
		processing: newProcessing(f),
		consumer:   newConsumer(f, registry),
		requests: f.histograms("http_request_duration_seconds",
			"Duration of HTTP requests; a live feed counts when it ends, as 0 s.", seconds, "method", "route", "code"),
		refusals: f.counters("http_refusals_total", "Requests refused for who sends them, by code of the problem: no valid token, an insufficient role, a page of another origin, a host name that is not allowed.", "code"),
		tasks:    newTasks(f),
		events:   newEvents(f),
		factory:  f,
		registry: registry,
	}
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

var fullName = regexp.MustCompile(`fqName: "([^"]+)"`)

// Names returns the names of all metrics, also of those that have no value yet.
func (m *Metrics) Names() (names []string) {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		m.registry.Describe(descriptions)
	}()
	for d := range descriptions {
		if found := fullName.FindStringSubmatch(d.String()); found != nil {
			names = append(names, found[1])
		}
	}
	return names
}

// RegisterBreaker adds the state of service-order's circuit breaker.
func (m *Metrics) RegisterBreaker(open func() bool) {
	m.factory.gaugeFunc("breaker_open", "1 while the circuit breaker of service-order is open: consumption is paused, events wait in Kafka.",
		func() float64 { return zeroOrOne(open()) })
}

// RegisterConsumer adds the status of the consumer, as /readyz reports it.
func (m *Metrics) RegisterConsumer(status func() error) {
	m.factory.gaugeFunc("consumer_joined", "1 while this replica is a member of the consumer group and can read its partitions; /readyz has the reason if not.",
		func() float64 { return zeroOrOne(status() == nil) })
}

// RegisterStream adds the subscribers of the live feed: how many there are, and how
// many fell behind so far.
func (m *Metrics) RegisterStream(subscribers func() (now, behind int)) {
	m.factory.gaugeFunc("stream_subscribers", "Subscribers of the live feed.",
		func() float64 { now, _ := subscribers(); return float64(now) })
	m.factory.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "stream_subscribers_behind_total", Help: "Subscribers of the live feed that fell behind and got a new snapshot.",
	}, func() float64 { _, behind := subscribers(); return float64(behind) })
}

// factory creates and registers metrics.
type factory struct{ promauto.Factory }

func (f factory) counter(name, help string) prometheus.Counter {
	return f.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func (f factory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return f.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
}

func (f factory) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func (f factory) gaugeFunc(name, help string, value func() float64) {
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value)
}

func (f factory) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return f.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
}

func zeroOrOne(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
