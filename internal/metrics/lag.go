package metrics

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// lag asks when it is scraped: kept by the path of an event, it would stand still
// just when that does.
type lag struct {
	desc *prometheus.Desc

	mu sync.Mutex
	of map[int32]func() (records int64, known bool) // by partition
}

func newLag(registry prometheus.Registerer) *lag {
	l := &lag{
		desc: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "kafka_lag_records"),
			"Records of a partition that this replica has yet to save, of those that were there at the last fetch; absent while it is not in the group.",
			[]string{"partition"}, nil),
		of: make(map[int32]func() (int64, bool)),
	}
	registry.MustRegister(l)
	return l
}

// Claimed implements kafka.Observer.
func (m *Metrics) Claimed(partition int32, lag func() (records int64, known bool)) {
	m.lag.mu.Lock()
	defer m.lag.mu.Unlock()
	m.lag.of[partition] = lag
}

// Forget implements kafka.Observer.
func (m *Metrics) Forget(partition int32) {
	m.lag.mu.Lock()
	defer m.lag.mu.Unlock()
	delete(m.lag.of, partition)
}

// Describe implements prometheus.Collector.
func (l *lag) Describe(all chan<- *prometheus.Desc) { all <- l.desc }

// Collect implements prometheus.Collector.
func (l *lag) Collect(all chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for partition, lag := range l.of {
		if records, known := lag(); known {
			all <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, float64(records), strconv.Itoa(int(partition)))
		}
	}
}
