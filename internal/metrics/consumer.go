package metrics

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// consumer are the metrics of the Kafka consumer.
type consumer struct {
	lag     *lag
	records prometheus.Counter
	lost    prometheus.Counter
	resets  *prometheus.CounterVec
}

func newConsumer(f factory, registry prometheus.Registerer) consumer {
	c := consumer{
		lag: &lag{
			desc: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "kafka_lag_records"),
				"Records of a partition that this replica has yet to save, as of the last fetch; absent while the replica is not in the group.",
				[]string{"partition"}, nil),
			partitions: make(map[int32]func() (int64, bool)),
		},
		records: f.counter("records_total", "Kafka records saved, as events or dead letters."),
		lost:    f.counter("records_lost_total", "Records that Kafka removed before this group read them, where the number is known."),
		resets:  f.counters("offset_resets_total", "Partitions read from the oldest record because the committed offset was lost.", "cause"),
	}
	registry.MustRegister(c.lag)
	return c
}

// Saved implements kafka.Observer.
func (c consumer) Saved(records int) { c.records.Add(float64(records)) }

// Reset counts a partition whose offset was lost, and the records that were lost with
// it, where the number is known.
func (c consumer) Reset(cause string, records int64) {
	c.resets.WithLabelValues(cause).Inc()
	c.lost.Add(float64(max(0, records)))
}

// Claimed implements kafka.Observer.
func (c consumer) Claimed(partition int32, lag func() (records int64, known bool)) {
	c.lag.mu.Lock()
	defer c.lag.mu.Unlock()
	c.lag.partitions[partition] = lag
}

// Released implements kafka.Observer.
func (c consumer) Released(partition int32) {
	c.lag.mu.Lock()
	defer c.lag.mu.Unlock()
	delete(c.lag.partitions, partition)
}

// lag reads the lag at each scrape: a gauge that is set while events are processed
// would stand still when processing does.
type lag struct {
	desc *prometheus.Desc

	mu         sync.Mutex
	partitions map[int32]func() (records int64, known bool)
}

// Describe implements prometheus.Collector.
func (l *lag) Describe(all chan<- *prometheus.Desc) { all <- l.desc }

// Collect implements prometheus.Collector.
func (l *lag) Collect(all chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for partition, lag := range l.partitions {
		if records, known := lag(); known {
			all <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, float64(records), strconv.Itoa(int(partition)))
		}
	}
}

// total is the lag of all partitions that this replica reads; nil when it is unknown.
func (l *lag) total() *int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sum *int64
	for _, lag := range l.partitions {
		if records, known := lag(); known {
			if sum == nil {
				sum = new(int64)
			}
			*sum += records
		}
	}
	return sum
}
