package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"service-courier/internal/dev/ordersim"
)

// flags are the values of the command line.
type flags struct {
	demo           bool
	timeScale      float64
	steps          map[string]string
	jitter         float64
	rate           float64
	every          time.Duration
	burstEvery     time.Duration
	burstSize      int
	cancelShare    float64
	lostShare      float64
	duplicateShare float64
	publishDelay   time.Duration
	seed           uint64
	stateFile      string
	verbose        bool
}

func (f *flags) register(set *pflag.FlagSet) {
	set.SortFlags = false
	set.BoolVar(&f.demo, "demo", false, "demo defaults: an order every few seconds, bursts, short timers, cancellations")
	set.Float64Var(&f.timeScale, "time-scale", 1, "speed up the timers by this factor")
	set.StringToStringVar(&f.steps, "step", nil, "time in a status, such as cooking=20s,delivering=1m")
	set.Float64Var(&f.jitter, "jitter", 0, "vary the timers of each generated order by up to this share (0 to below 1)")
	set.Float64Var(&f.rate, "rate", 0, "generate this many orders per second on average")
	set.DurationVar(&f.every, "every", 0, "average interval between generated orders (instead of --rate)")
	set.DurationVar(&f.burstEvery, "burst-every", 0, "average interval between additional bursts of orders")
	set.IntVar(&f.burstSize, "burst-size", 13, "orders per burst")
	set.Float64Var(&f.cancelShare, "cancel-share", 0, "delete this share of the generated orders at a random time (0 to 1)")
	set.Float64Var(&f.lostShare, "lost-share", 0, "never publish this share of the events (0 to 1)")
	set.Float64Var(&f.duplicateShare, "duplicate-share", 0, "publish this share of the events twice (0 to 1)")
	set.DurationVar(&f.publishDelay, "publish-delay", 0, "delay each event by a random time up to this")
	set.Uint64Var(&f.seed, "seed", 0, "seed of ids and random decisions, to repeat a run (0: random)")
	set.StringVar(&f.stateFile, "state-file", "", "keep orders in this file across restarts (default: in memory, like the original)")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "log every status change")
}

// config returns the simulator's Config. Only flags that are set change the defaults.
func (f *flags) config(given func(string) bool, getenv func(string) string) (ordersim.Config, error) {
	cfg := ordersim.DefaultConfig()
	if f.demo {
		cfg = ordersim.DemoConfig()
	}
	if addr := getenv("HTTP_ADDR"); addr != "" {
		cfg.Addr = addr
	}
	if addr := getenv("GRPC_ADDR"); addr != "" {
		cfg.GRPCAddr = addr
	}
	if topic := getenv("KAFKA_ORDER_TOPIC"); topic != "" {
		cfg.Topic = topic
	}
	cfg.Brokers = list(getenv("KAFKA_BROKERS"))
	cfg.AllowedHosts = list(getenv("HTTP_ALLOWED_HOSTS"))
	err := errors.Join(f.timers(&cfg.Steps), f.arrivals(given, &cfg))
	replace(given("jitter"), &cfg.Jitter, f.jitter)
	replace(given("cancel-share"), &cfg.CancelShare, f.cancelShare)
	cfg.LostShare, cfg.DuplicateShare = f.lostShare, f.duplicateShare
	cfg.PublishDelay, cfg.Seed, cfg.StateFile = f.publishDelay, f.seed, f.stateFile
	cfg.Logger = logger(f.verbose)
	if err == nil {
		err = check(cfg)
	}
	return cfg, err
}

// settings maps fields of the Config to the setting that users know.
var settings = map[string]string{
	"Addr":             "HTTP_ADDR",
	"GRPCAddr":         "GRPC_ADDR",
	"Brokers":          "KAFKA_BROKERS",
	"CancelShare":      "--cancel-share",
	"LostShare":        "--lost-share",
	"DuplicateShare":   "--duplicate-share",
	"Jitter":           "--jitter",
	"Steps.Created":    "--step created",
	"Steps.Pending":    "--step pending",
	"Steps.Confirmed":  "--step confirmed",
	"Steps.Cooking":    "--step cooking",
	"Steps.Delivering": "--step delivering",
	"Every":            "--every",
	"BurstEvery":       "--burst-every",
	"BurstMin":         "--burst-size",
	"BurstMax":         "--burst-size",
	"PublishDelay":     "--publish-delay",
}

// check validates a Config and names the settings instead of the fields.
func check(cfg ordersim.Config) error {
	var errs []error
	for _, bad := range cfg.BadValues() {
		errs = append(errs, fmt.Errorf("%s is %v: %s", settings[bad.Field], bad.Value, bad.Fix))
	}
	return errors.Join(errs...)
}

// timers applies --time-scale, then --step, which is not scaled.
func (f *flags) timers(steps *ordersim.Steps) error {
	if f.timeScale <= 0 {
		return fmt.Errorf("--time-scale is %v: want a factor above 0, such as 60", f.timeScale)
	}
	*steps = steps.Faster(f.timeScale)
	fields := map[string]*time.Duration{
		ordersim.StatusCreated:    &steps.Created,
		ordersim.StatusPending:    &steps.Pending,
		ordersim.StatusConfirmed:  &steps.Confirmed,
		ordersim.StatusCooking:    &steps.Cooking,
		ordersim.StatusDelivering: &steps.Delivering,
	}
	var errs []error
	for _, status := range slices.Sorted(maps.Keys(f.steps)) {
		field, text := fields[status], f.steps[status]
		if field == nil {
			errs = append(errs, fmt.Errorf("--step %s: unknown status, want created, pending, confirmed, cooking or delivering", status))
			continue
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--step %s=%s: want a duration such as 20s or 5m", status, text))
		}
		*field = d
	}
	return errors.Join(errs...)
}

func (f *flags) arrivals(given func(string) bool, cfg *ordersim.Config) error {
	if given("rate") && given("every") {
		return errors.New("--rate and --every are both set: keep one of them")
	}
	if f.rate < 0 {
		return fmt.Errorf("--rate is %v: want orders per second, 0 or more", f.rate)
	}
	replace(given("every"), &cfg.Every, f.every)
	if given("rate") {
		cfg.Every = 0
	}
	if f.rate > 0 {
		cfg.Every = time.Duration(float64(time.Second) / f.rate)
	}
	replace(given("burst-every"), &cfg.BurstEvery, f.burstEvery)
	if given("burst-size") || cfg.BurstMin == 0 {
		cfg.BurstMin, cfg.BurstMax = f.burstSize, f.burstSize
	}
	if given("burst-size") && cfg.BurstEvery == 0 {
		return errors.New("--burst-size needs --burst-every")
	}
	for _, flag := range []string{"jitter", "cancel-share"} {
		if given(flag) && cfg.Every == 0 && cfg.BurstEvery == 0 {
			return fmt.Errorf("--%s needs --rate, --every or --burst-every: it concerns generated orders", flag)
		}
	}
	return nil
}

func replace[T any](given bool, field *T, value T) {
	if given {
		*field = value
	}
}

// list splits at commas and omits empty parts.
func list(text string) []string {
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

func logger(verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
