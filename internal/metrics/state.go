package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// stateGoodFor is how long what was read serves: several may scrape.
	stateGoodFor = 5 * time.Second
	// stateWithin leaves a scrape time to answer within a second, whatever
	// PostgreSQL does.
	stateWithin = 700 * time.Millisecond
)

// State is what the database knows and no counter of this process.
type State struct {
	Couriers       map[string]int // by status
	Held, Late     int            // orders
	Looks          map[string]int // pending looks by reason
	LooksDue       int            // those whose time has come
	LettersWaiting int            // dead letters that nobody has handled
	OldestLetter   time.Duration  // for how long the first of them has waited
}

// Pool is how a pool of connections stands.
type Pool struct{ Acquired, Idle, Max int }

// state reads State when it is scraped, seldom and within a bound.
type state struct {
	read func(context.Context) (State, error)
	pool func() Pool

	mu     sync.Mutex
	last   State
	readAt time.Time // of last
	ok     bool      // the last read worked

	couriers, held, late, looks, due, letters, oldestLetter *prometheus.Desc
	up, connections, maxConnections                         *prometheus.Desc
}

// WatchState adds gauges of what read returns, and of the pool.
func (m *Metrics) WatchState(read func(context.Context) (State, error), pool func() Pool) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	m.registry.MustRegister(&state{
		read: read, pool: pool,
		couriers:       desc("couriers", "Couriers by status.", "status"),
		held:           desc("held_orders", "Orders that only a person assigns or releases."),
		late:           desc("late_deliveries", "Open deliveries behind their deadline."),
		looks:          desc("pending_looks", "Orders that are to be looked at again, by why.", "reason"),
		due:            desc("due_looks", "Those of the pending looks whose time has come."),
		letters:        desc("dead_letters_waiting", "Dead letters that nobody has handled."),
		oldestLetter:   desc("dead_letter_oldest_seconds", "For how long the first of them has waited; 0 when there is none."),
		up:             desc("database_up", "1 while PostgreSQL answered the last scrape that asked it in time; the gauges from it are absent else."),
		connections:    desc("database_connections", "Connections of this process to PostgreSQL, by state.", "state"),
		maxConnections: desc("database_connections_max", "How many connections this process may have at most."),
	})
}

// Describe implements prometheus.Collector.
func (s *state) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.couriers, s.held, s.late, s.looks, s.due, s.letters, s.oldestLetter, s.up, s.connections, s.maxConnections,
	} {
		all <- d
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(all chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	pool := s.pool()
	gauge(s.connections, float64(pool.Acquired), "acquired")
	gauge(s.connections, float64(pool.Idle), "idle")
	gauge(s.maxConnections, float64(pool.Max))
	now, ok := s.fresh()
	gauge(s.up, zeroOrOne(ok))
	if !ok {
		return
	}
	for status, n := range now.Couriers {
		gauge(s.couriers, float64(n), status)
	}
	for reason, n := range now.Looks {
		gauge(s.looks, float64(n), reason)
	}
	gauge(s.held, float64(now.Held))
	gauge(s.late, float64(now.Late))
	gauge(s.due, float64(now.LooksDue))
	gauge(s.letters, float64(now.LettersWaiting))
	gauge(s.oldestLetter, now.OldestLetter.Seconds())
}

// fresh returns what was read lately, else reads it. Those who scrape at the
// same time wait for one read.
func (s *state) fresh() (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.readAt) < stateGoodFor {
		return s.last, s.ok
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateWithin)
	defer cancel()
	last, err := s.read(ctx)
	s.last, s.ok, s.readAt = last, err == nil, time.Now()
	return s.last, s.ok
}
