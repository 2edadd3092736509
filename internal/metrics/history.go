package metrics

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	sampleEvery = 5 * time.Second
	historySize = int(15 * time.Minute / sampleEvery) // 180 samples of about 100 bytes: below 20 KB
)

// Sample has the figures of this process over the interval that ends at At. Durations are
// nil when none was observed.
type Sample struct {
	At                   time.Time
	Events, Assignments  float64 // per second
	Lag                  *int64  // records; nil while no partition is read
	WaitingOrders        int     // as of the last round of the monitor
	FetchP50, FetchP99   *time.Duration
	CommitP50, CommitP99 *time.Duration
}

// History keeps the samples of the last 15 minutes. It reads the metrics, so that it costs
// the path of an event nothing.
type History struct {
	metrics *Metrics

	mu      sync.Mutex
	samples []Sample // oldest first, at most historySize
}

// NewHistory returns an empty History of m.
func NewHistory(m *Metrics) *History {
	return &History{metrics: m, samples: make([]Sample, 0, historySize)}
}

// Run takes a sample every 5 seconds until ctx ends.
func (h *History) Run(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for before := h.metrics.totals(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := h.metrics.totals()
		h.add(sample(before, now))
		before = now
	}
}

func (h *History) add(s Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.samples) == historySize {
		h.samples = h.samples[:copy(h.samples, h.samples[1:])]
	}
	h.samples = append(h.samples, s)
}

// Samples returns the samples, oldest first.
func (h *History) Samples() []Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.samples)
}

// totals are the metrics that a sample is computed from, at one moment.
type totals struct {
	at                   time.Time
	records, assignments float64
	fetches, commits     buckets
	lag                  *int64
	waiting              int
}

func (m *Metrics) totals() totals {
	return totals{
		at: time.Now(), records: valueOf(m.records), assignments: valueOf(m.assignments),
		fetches: bucketsOf(m.fetches), commits: bucketsOf(m.commits), lag: m.lag.total(), waiting: int(valueOf(m.waiting)),
	}
}

func sample(before, now totals) Sample {
	seconds := now.at.Sub(before.at).Seconds()
	fetches, commits := now.fetches.since(before.fetches), now.commits.since(before.commits)
	return Sample{
		At: now.at, Events: (now.records - before.records) / seconds, Assignments: (now.assignments - before.assignments) / seconds,
		Lag: now.lag, WaitingOrders: now.waiting,
		FetchP50: fetches.quantile(0.5), FetchP99: fetches.quantile(0.99), CommitP50: commits.quantile(0.5), CommitP99: commits.quantile(0.99),
	}
}

// buckets count the observations up to each bound of seconds; the last one counts all.
type buckets []uint64

func (b buckets) since(before buckets) buckets {
	difference := make(buckets, len(b))
	for i := range b {
		difference[i] = b[i] - before[i]
	}
	return difference
}

// quantile estimates a quantile as Prometheus does: linear within a bucket, and at most
// the highest bound. It is nil without an observation.
func (b buckets) quantile(q float64) *time.Duration {
	rank := q * float64(b[len(seconds)])
	if rank == 0 {
		return nil
	}
	var below uint64
	low := 0.0
	estimate := seconds[len(seconds)-1]
	for i, bound := range seconds {
		if float64(b[i]) >= rank {
			estimate = low + (bound-low)*(rank-float64(below))/float64(b[i]-below)
			break
		}
		below, low = b[i], bound
	}
	d := time.Duration(estimate * float64(time.Second))
	return &d
}

// bucketsOf adds up the histograms of c, whose bounds are those of seconds.
func bucketsOf(c prometheus.Collector) buckets {
	sum := make(buckets, len(seconds)+1)
	for _, m := range collect(c) {
		h := m.GetHistogram()
		for i, b := range h.GetBucket()[:len(seconds)] {
			sum[i] += b.GetCumulativeCount()
		}
		sum[len(seconds)] += h.GetSampleCount()
	}
	return sum
}

// valueOf returns the value of a counter or a gauge.
func valueOf(c prometheus.Collector) (value float64) {
	for _, m := range collect(c) {
		value += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return value
}

// collect reads the metrics of c; one that cannot be read is left out.
func collect(c prometheus.Collector) (read []*dto.Metric) {
	all := make(chan prometheus.Metric)
	go func() {
		defer close(all)
		c.Collect(all)
	}()
	for m := range all {
		var one dto.Metric
		if m.Write(&one) == nil {
			read = append(read, &one)
		}
	}
	return read
}
