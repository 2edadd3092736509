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

// Config of a simulator. The zero value has real timers, no traffic, no state file, no
// servers (use Sim.Handler) and no Kafka.
type Config struct {
	// Addr is the host:port of the HTTP server; port 0 takes a free one, see
	// Sim.Addr. Empty: no server.
	Addr string
	// GRPCAddr is the same for the gRPC server; see Sim.GRPCAddr.
	GRPCAddr string
	// AllowedHosts are the names that clients may use, besides localhost, IP addresses
	// and the host of Addr.
	AllowedHosts []string

	// Brokers are the Kafka addresses (host:port). Empty: no Kafka.
	Brokers []string
	// Topic defaults to DefaultTopic.
	Topic string
	// Publisher gets the events instead of Kafka; Brokers must be empty then.
	Publisher Publisher

	// Steps are the timers of an order; the zero value is DefaultSteps.
	Steps Steps
	// Jitter makes each generated order slower or faster by up to this share,
	// 0 to below 1.
	Jitter float64

	// Every is the mean time between generated orders; 0: none.
	Every time.Duration
	// BurstEvery is the mean time between bursts of BurstMin to BurstMax orders
	// within seconds; 0: none.
	BurstEvery         time.Duration
	BurstMin, BurstMax int
	// CancelShare of the generated orders is deleted at a random time, 0 to 1.
	CancelShare float64

	// LostShare of the events is never published, 0 to 1.
	LostShare float64
	// DuplicateShare of the events is published twice, 0 to 1.
	DuplicateShare float64
	// PublishDelay delays every event by a random time up to this, so that events
	// overtake each other; 0: none. Events still delayed at Stop are lost.
	PublishDelay time.Duration

	// Seed makes a run repeatable: ids, orders, intervals, cancellations, faults. An
	// empty simulator with the same seed uses the same ids again, which the original
	// never does. 0: a random seed.
	Seed uint64
	// StateFile keeps the orders and their timers over a restart or kill -9, for one
	// process at a time. Empty: a restart loses all orders, as in the original.
	StateFile string

	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// DefaultConfig behaves as service-order: HTTP on 127.0.0.1:8080, gRPC on 127.0.0.1:50051,
// real timers, no traffic, no state file. Set Brokers for events.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:8080", GRPCAddr: "127.0.0.1:50051", Topic: DefaultTopic, Steps: DefaultSteps()}
}

// DemoConfig is for a demo with ten couriers: an order about every nine seconds, four in ten
// of them in bursts of 12 to 15 every 5 min. Orders take 60 to 90 s, time to act on one by
// hand, and 15 % are cancelled: about five couriers are busy between the bursts, and orders
// wait for a minute after each.
func DemoConfig() Config {
	cfg := DefaultConfig()
	cfg.Steps = Steps{
		Created:    time.Second,
		Pending:    2 * time.Second,
		Confirmed:  3 * time.Second,
		Cooking:    20 * time.Second,
		Delivering: 49 * time.Second,
	}
	cfg.Jitter = 0.2
	cfg.Every = 14 * time.Second
	cfg.BurstEvery = 5 * time.Minute
	cfg.BurstMin, cfg.BurstMax = 12, 15
	cfg.CancelShare = 0.15
	return cfg
}

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

// BadValue is an invalid field of a Config.
type BadValue struct {
	Field string
	Value any
	Fix   string // in the imperative
}

// Error implements error.
func (b BadValue) Error() string {
	return fmt.Sprintf("%s is %v: %s", b.Field, b.Value, b.Fix)
}

// Validate returns an error that names every bad value.
func (c Config) Validate() error {
	var errs []error
	for _, b := range c.BadValues() {
		errs = append(errs, b)
	}
	return errors.Join(errs...)
}

// BadValues returns every bad value.
func (c Config) BadValues() (all []BadValue) {
	bad := func(when bool, field string, value any, fix string) {
		if when {
			all = append(all, BadValue{field, value, fix})
		}
	}
	bad(c.Addr != "" && !isHostPort(c.Addr), "Addr", c.Addr, "give host:port, such as 127.0.0.1:8080")
	bad(c.GRPCAddr != "" && !isHostPort(c.GRPCAddr), "GRPCAddr", c.GRPCAddr, "give host:port, such as 127.0.0.1:50051")
	for _, b := range c.Brokers {
		bad(!isHostPort(b), "Brokers", fmt.Sprintf("%q", b), "give host:port of each, such as localhost:9092")
	}
	bad(c.Publisher != nil && len(c.Brokers) > 0, "Brokers", c.Brokers, "leave it empty with a Publisher")
	bad(!isShare(c.CancelShare), "CancelShare", c.CancelShare, "give a share from 0 to 1")
	bad(!isShare(c.LostShare), "LostShare", c.LostShare, "give a share from 0 to 1")
	bad(!isShare(c.DuplicateShare), "DuplicateShare", c.DuplicateShare, "give a share from 0 to 1")
	bad(!isShare(c.Jitter) || c.Jitter == 1, "Jitter", c.Jitter, "give a share from 0 to below 1")
	for _, d := range c.durations() {
		bad(d.value < 0, d.field, d.value, "give a duration of 0 or more")
	}
	bad(c.BurstEvery > 0 && c.BurstMin < 1, "BurstMin", c.BurstMin, "give 1 or more, or no bursts")
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

// isShare is false for NaN too.
func isShare(v float64) bool { return v >= 0 && v <= 1 }

func isHostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}
