// Package metrics counts what the use case and the consumer report, for
// Prometheus. Nothing depends on it being there.
package metrics

import (
	"net/http"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"service-courier/internal/buildinfo"
	"service-courier/internal/usecase/orderevent"
)

const namespace = "courier"

// Metrics implements orderevent.Observer, kafka.Observer and worker.StandingObserver.
type Metrics struct {
	alarms
	work
	registry     *prometheus.Registry
	records      prometheus.Counter
	hints        prometheus.Counter
	batchSize    prometheus.Histogram
	dispositions *prometheus.CounterVec
	transitions  *prometheus.CounterVec
	assignments  prometheus.Counter
	letters      prometheus.Counter
	lag          *lag
}

var _ orderevent.Observer = (*Metrics)(nil)

// New returns metrics on a registry of their own, with those of the Go runtime
// and the process.
func New() *Metrics {
	registry := prometheus.NewRegistry()
	m := &Metrics{
		registry: registry,
		alarms:   newAlarms(registry),
		work:     newWork(registry),
		lag:      newLag(registry),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "records_total", Help: "Records of the topic that were saved, as events or dead letters; no looks of our own.",
		}),
		hints: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "hints_total", Help: "Hints reconciled: events and looks of our own, before coalescing.",
		}),
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "batch_hints", Help: "Hints in one transaction.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000},
		}),
		dispositions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "orders_reconciled_total", Help: "Orders reconciled, by what became of them.",
		}, []string{"disposition"}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "order_transitions_total", Help: "Orders that changed their state, by the state reached.",
		}, []string{"to"}),
		assignments: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "assignments_total", Help: "Orders given a courier.",
		}),
		letters: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "dead_letters_total", Help: "Records that can never be processed.",
		}),
	}
	build := buildinfo.Read()
	prometheus.WrapRegistererWith(prometheus.Labels{"version": build.Version, "commit": build.Commit, "go": build.Go}, registry).MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info", Help: "Always 1; which build this is."}, func() float64 { return 1 }))
	m.registry.MustRegister(
		m.records, m.hints, m.batchSize, m.dispositions, m.transitions, m.assignments, m.letters,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler serves the metrics in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Reconciled implements orderevent.Observer.
func (m *Metrics) Reconciled(o orderevent.Outcome) {
	m.hints.Add(float64(o.Hints))
	m.batchSize.Observe(float64(o.Hints))
	for disposition, n := range o.Dispositions {
		m.dispositions.WithLabelValues(string(disposition)).Add(float64(n))
	}
	for _, t := range o.Transitions {
		m.transitions.WithLabelValues(string(t.To)).Inc()
	}
	m.letters.Add(float64(o.Letters))
	m.retries.Add(float64(max(0, o.Tries-1)))
}

// Shared counts hints that another one's look stands for.
func (m *Metrics) Shared(hints int) { m.hints.Add(float64(hints)) }

// Matched implements orderevent.Observer.
func (m *Metrics) Matched(assignments []orderevent.Assignment) {
	m.assignments.Add(float64(len(assignments)))
	m.transitions.WithLabelValues("assigned").Add(float64(len(assignments)))
}

// Saved implements kafka.Observer.
func (m *Metrics) Saved(records int) { m.records.Add(float64(records)) }

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

// WatchStream adds how many clients the live feed has, and how many fell behind.
func (m *Metrics) WatchStream(clients func() (now, lost int)) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "stream_clients", Help: "Clients of the live feed.",
		}, func() float64 { now, _ := clients(); return float64(now) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "stream_clients_behind_total", Help: "Clients of the live feed that fell behind and were told anew how things stand.",
		}, func() float64 { _, lost := clients(); return float64(lost) }),
	)
}
