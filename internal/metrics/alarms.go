package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"service-courier/internal/usecase/orderevent"
)

// alarms are the metrics that somebody has to do something about: see
// docs/runbook.md. Each goes with one line in the log.
type alarms struct {
	registry      prometheus.Registerer
	lost          prometheus.Counter
	resets        *prometheus.CounterVec
	missing       prometheus.Gauge
	missingOldest prometheus.Gauge
	waiting       prometheus.Gauge
	waitingOldest prometheus.Gauge
	amnesia       prometheus.Gauge
	read          prometheus.Gauge
	broken        *prometheus.GaugeVec // without labels, so that it is absent before the first audit, not 0
	audited       *prometheus.GaugeVec // as broken
}

func newAlarms(registry prometheus.Registerer) alarms {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	later := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, nil)
	}
	a := alarms{
		registry: registry,
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "records_lost_total",
			Help: "Records that Kafka removed before this group had read them, where their number is known.",
		}),
		resets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "offset_resets_total",
			Help: "Partitions read from the oldest record because the group's place in them was lost: removed, truncated, expired or unknown.",
		}, []string{"cause"}),
		missing: gauge("missing_orders", "Open orders that service-order answers 404 about."),
		missingOldest: gauge("missing_oldest_seconds",
			"For how long the first of the missing orders has been missing; 0 when there is none."),
		waiting: gauge("waiting_orders", "Orders in line that only lack a courier."),
		waitingOldest: gauge("waiting_oldest_seconds",
			"For how long the first of the waiting orders has been known; 0 when there is none."),
		amnesia: gauge("order_service_amnesia",
			"1 while service-order seems to have lost its memory: it has none of many open orders."),
		broken: later("invariants_broken",
			"Promises that the database did not keep at the last audit, which is every ten minutes; absent before the first."),
		audited: later("audit_finished_timestamp_seconds",
			"When this replica last had read the whole database for broken promises, by this machine's clock; absent before the first time."),
		read: gauge("standing_read_timestamp_seconds",
			"When the missing and waiting orders were last read from PostgreSQL, by this machine's clock."),
	}
	registry.MustRegister(a.lost, a.resets, a.missing, a.missingOldest, a.waiting, a.waitingOldest, a.amnesia, a.read, a.broken, a.audited)
	return a
}

// Stand implements worker.StandingObserver.
func (a alarms) Stand(s orderevent.Standing) {
	a.missing.Set(float64(s.Missing))
	a.missingOldest.Set(s.MissingOldest.Seconds())
	a.waiting.Set(float64(s.Waiting))
	a.waitingOldest.Set(s.WaitingOldest.Seconds())
	a.amnesia.Set(zeroOrOne(s.Amnesia()))
	a.read.SetToCurrentTime()
}

// Broken implements worker.AuditObserver.
func (a alarms) Broken(promises int) {
	a.broken.WithLabelValues().Set(float64(promises))
	a.audited.WithLabelValues().SetToCurrentTime()
}

// Reset counts a partition whose place was lost, and the records gone with it,
// as far as that is known.
func (a alarms) Reset(cause string, records int64) {
	a.resets.WithLabelValues(cause).Inc()
	a.lost.Add(float64(max(0, records)))
}

// WatchBreaker adds whether the breaker before service-order is open.
func (a alarms) WatchBreaker(open func() bool) {
	a.watch("breaker_open", "1 while service-order is taken to be down for everybody: nothing is consumed, events wait in Kafka.", open)
}

// WatchConsumer adds whether the consumer is where it can read, as /readyz says it.
func (a alarms) WatchConsumer(status func() error) {
	a.watch("consumer_joined", "1 while this replica is a member of the consumer group and can read the partitions that it is given; "+
		"/readyz says what keeps it from that.", func() bool { return status() == nil })
}

// watch adds a gauge of what is so or not.
func (a alarms) watch(name, help string, so func() bool) {
	a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help},
		func() float64 { return zeroOrOne(so()) }))
}

func zeroOrOne(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
