package metrics

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

const (
	// gaugesValidFor is how long a reading serves further scrapes.
	gaugesValidFor = 5 * time.Second
	// gaugesTimeout lets a scrape end within a second, whatever PostgreSQL does.
	gaugesTimeout = 700 * time.Millisecond
)

// Gauges are the numbers that only the database knows.
type Gauges struct {
	Available, Busy, Paused                    int // couriers
	Held, Overdue                              int // orders on hold, deliveries past their deadline
	Missing, Ahead, UnknownStatus, Unavailable int // pending rechecks by reason
	RechecksDue                                int
	DeadLettersPending                         int
	OldestDeadLetter                           time.Duration // age of the oldest pending one
}

// Pool is the state of a connection pool.
type Pool struct{ Acquired, Idle, Max int }

// ErrNoGauges matches an error with which PostgreSQL answered, such as that of a missing
// schema.
var ErrNoGauges = errors.New("no gauges")

// database reads Gauges when it is scraped.
type database struct {
	read  func(context.Context) (Gauges, error)
	pools func() map[string]Pool // by name

	mu     sync.Mutex
	last   Gauges
	readAt time.Time // of last
	err    error     // of the last read

	couriers, held, overdue, rechecks, rechecksDue, deadLetters, oldestDeadLetter *prometheus.Desc
	up, connections, maxConnections                                               *prometheus.Desc
}

// RegisterDatabase adds gauges of what read returns, and of the pools, by name.
func (m *Metrics) RegisterDatabase(read func(context.Context) (Gauges, error), pools func() map[string]Pool) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	m.registry.MustRegister(&database{
		read: read, pools: pools,
		couriers:         desc("couriers", "Couriers, by status.", "status"),
		held:             desc("held_orders", "Orders on hold."),
		overdue:          desc("deliveries_overdue", "Open deliveries past their deadline."),
		rechecks:         desc("rechecks_pending", "Orders with a pending recheck, by reason.", "reason"),
		rechecksDue:      desc("rechecks_due", "Pending rechecks that are due."),
		deadLetters:      desc("dead_letters_pending", "Dead letters that are neither redriven nor discarded."),
		oldestDeadLetter: desc("dead_letter_oldest_seconds", "Age of the oldest pending dead letter; 0 if there is none."),
		up:               desc("database_up", "1 if PostgreSQL answered the last scrape in time; if not, or without its schema, the gauges read from it are absent."),
		connections:      desc("database_connections", "Connections of this process to PostgreSQL, by pool (api: the requests of the API; consumption: all else) and state.", "pool", "state"),
		maxConnections:   desc("database_connections_max", "Maximum number of connections of this process to PostgreSQL, by pool.", "pool"),
	})
}

// Describe implements prometheus.Collector.
func (d *database) Describe(all chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		d.couriers, d.held, d.overdue, d.rechecks, d.rechecksDue, d.deadLetters, d.oldestDeadLetter, d.up, d.connections, d.maxConnections,
	} {
		all <- desc
	}
}

// Collect implements prometheus.Collector.
func (d *database) Collect(all chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	for name, pool := range d.pools() {
		gauge(d.connections, float64(pool.Acquired), name, "acquired")
		gauge(d.connections, float64(pool.Idle), name, "idle")
		gauge(d.maxConnections, float64(pool.Max), name)
	}
	now, err := d.gauges()
	gauge(d.up, zeroOrOne(err == nil || errors.Is(err, ErrNoGauges)))
	if err != nil {
		return
	}
	gauge(d.couriers, float64(now.Available), string(courier.StatusAvailable))
	gauge(d.couriers, float64(now.Busy), string(courier.StatusBusy))
	gauge(d.couriers, float64(now.Paused), string(courier.StatusPaused))
	gauge(d.rechecks, float64(now.Missing), string(orderevent.ReasonMissing))
	gauge(d.rechecks, float64(now.Ahead), string(orderevent.ReasonAhead))
	gauge(d.rechecks, float64(now.UnknownStatus), string(orderevent.ReasonUnknownStatus))
	gauge(d.rechecks, float64(now.Unavailable), string(orderevent.ReasonUnavailable))
	gauge(d.held, float64(now.Held))
	gauge(d.overdue, float64(now.Overdue))
	gauge(d.rechecksDue, float64(now.RechecksDue))
	gauge(d.deadLetters, float64(now.DeadLettersPending))
	gauge(d.oldestDeadLetter, now.OldestDeadLetter.Seconds())
}

// gauges returns the last reading, or a new one when that is too old. Simultaneous
// scrapes share one reading.
func (d *database) gauges() (Gauges, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.readAt) < gaugesValidFor {
		return d.last, d.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), gaugesTimeout)
	defer cancel()
	d.last, d.err = d.read(ctx)
	d.readAt = time.Now()
	return d.last, d.err
}
