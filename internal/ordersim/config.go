package ordersim

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// DefaultTopic is the topic service-order publishes to.
const DefaultTopic = "order.status.changed"

// Config is what a simulator can be asked for. The zero value is valid: real
// timers, no traffic, in memory, no listener (use Sim.Handler) and no Kafka.
type Config struct {
	// Addr is the host:port to serve HTTP on; port 0 picks a free one, see
	// Sim.Addr. Empty: no listener of its own.
	Addr string

	// Brokers are the Kafka addresses (host:port). Empty: no Kafka.
	Brokers []string
	// Topic defaults to DefaultTopic.
	Topic string
	// Publisher takes the events instead of Kafka; Brokers must then be empty.
	Publisher Publisher

	// Steps are the timers of an order's life; the zero value means
	// DefaultSteps.
	Steps Steps
	// Jitter makes each generated order up to this share slower or faster
	// than Steps, 0 to below 1.
	Jitter float64

	// Every is the mean time between generated orders; 0: none.
	Every time.Duration
	// BurstEvery is the mean time between bursts of BurstMin to BurstMax
	// orders that come within seconds; 0: none.
	BurstEvery         time.Duration
	BurstMin, BurstMax int
	// CancelShare of the generated orders are deleted at a random moment of
	// their life, 0 to 1.
	CancelShare float64

	// LostShare of the events is never published, 0 to 1.
	LostShare float64
	// DuplicateShare of the events is published twice, 0 to 1.
	DuplicateShare float64
	// PublishDelay makes every event late by a random time up to this, so that
	// they overtake each other; 0: none. Events still late at Stop are lost.
	PublishDelay time.Duration

	// Seed makes a run repeatable: ids, orders, intervals, cancellations, lost
	// events. A seeded simulator started empty again gives the same ids again,
	// which the original never does. 0: a random seed.
	Seed uint64
	// StateFile keeps the orders and their timers over a restart, even a
	// kill -9; one process a file. Empty: forgetful, like the original.
	StateFile string

	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// DefaultConfig returns service-order as it is: HTTP on 127.0.0.1:8080, real
// timers, no traffic of its own, in memory. Set Brokers to have events.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:8080", Topic: DefaultTopic, Steps: DefaultSteps()}
}

// DemoConfig returns a lively neighbour for a demo with ten couriers: an order
// about every three seconds, half of them in bursts of 12 to 15 every minute
// and a half. Orders live 20 to 30 s and 15 % are cancelled, so about four
// couriers are busy between the bursts and a line stands for some twenty
// seconds after each.
func DemoConfig() Config {
	cfg := DefaultConfig()
	cfg.Steps = Steps{
		Created:    time.Second,
		Pending:    2 * time.Second,
		Confirmed:  3 * time.Second,
		Cooking:    8 * time.Second,
		Delivering: 11 * time.Second,
	}
	cfg.Jitter = 0.2
	cfg.Every = 6 * time.Second
	cfg.BurstEvery = 90 * time.Second
	cfg.BurstMin, cfg.BurstMax = 12, 15
	cfg.CancelShare = 0.15
	return cfg
}

// withDefaults fills what was left empty.
func (c Config) withDefaults() Config {
	if c.Topic == "" {
		c.Topic = DefaultTopic
	}
	if c.Steps == (Steps{}) {
		c.Steps = DefaultSteps()
	}
	if c.Seed == 0 {
		c.Seed = randomSeed()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// BadValue is a field of a Config that cannot be so.
type BadValue struct {
	Field string
	Value any
	Mend  string // in the imperative
}

// Error implements error.
func (b BadValue) Error() string {
	return fmt.Sprintf("ordersim: %s is %v: %s", b.Field, b.Value, b.Mend)
}

// Validate names every bad value at once, or returns nil.
func (c Config) Validate() error {
	var errs []error
	for _, b := range c.BadValues() {
		errs = append(errs, b)
	}
	return errors.Join(errs...)
}

// BadValues are what Validate names.
func (c Config) BadValues() (all []BadValue) {
	bad := func(when bool, field string, value any, mend string) {
		if when {
			all = append(all, BadValue{field, value, mend})
		}
	}
	bad(c.Addr != "" && !hostPort(c.Addr), "Addr", c.Addr, "give host:port, such as 127.0.0.1:8080")
	for _, b := range c.Brokers {
		bad(!hostPort(b), "Brokers", fmt.Sprintf("%q", b), "give host:port of each, such as localhost:9092")
	}
	bad(c.Publisher != nil && len(c.Brokers) > 0, "Brokers", c.Brokers, "leave it empty beside a Publisher, events go to one of the two")
	bad(!share(c.CancelShare), "CancelShare", c.CancelShare, "give a share from 0 to 1")
	bad(!share(c.LostShare), "LostShare", c.LostShare, "give a share from 0 to 1")
	bad(!share(c.DuplicateShare), "DuplicateShare", c.DuplicateShare, "give a share from 0 to 1")
	bad(!share(c.Jitter) || c.Jitter == 1, "Jitter", c.Jitter, "give a share from 0 to below 1")
	for _, d := range c.durations() {
		bad(d.value < 0, d.field, d.value, "give a time of 0 or more")
	}
	bad(c.BurstEvery > 0 && c.BurstMin < 1, "BurstMin", c.BurstMin, "give 1 or more, or no bursts at all")
	bad(c.BurstEvery > 0 && c.BurstMax < c.BurstMin, "BurstMax", c.BurstMax, "give BurstMin or more")
	return all
}

type namedDuration struct {
	field string
	value time.Duration
}

func (c Config) durations() []namedDuration {
	return []namedDuration{
		{"Steps.Created", c.Steps.Created},
		{"Steps.Pending", c.Steps.Pending},
		{"Steps.Confirmed", c.Steps.Confirmed},
		{"Steps.Cooking", c.Steps.Cooking},
		{"Steps.Delivering", c.Steps.Delivering},
		{"Every", c.Every},
		{"BurstEvery", c.BurstEvery},
		{"PublishDelay", c.PublishDelay},
	}
}

// share is false for NaN too.
func share(v float64) bool { return v >= 0 && v <= 1 }

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}
