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

	"service-courier/internal/ordersim"
)

// flags are the command line as it was typed; config makes sense of them.
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
	set.BoolVar(&f.demo, "demo", false, "start from the demo preset: an order every few seconds, bursts, short lives, cancellations")
	set.Float64Var(&f.timeScale, "time-scale", 1, "run the timers this many times faster")
	set.StringToStringVar(&f.steps, "step", nil, "how long orders stay in a status, such as cooking=20s,delivering=1m")
	set.Float64Var(&f.jitter, "jitter", 0, "make each generated order up to this share slower or faster (0 to below 1)")
	set.Float64Var(&f.rate, "rate", 0, "generate this many orders a second on average")
	set.DurationVar(&f.every, "every", 0, "generate an order this often on average (instead of --rate)")
	set.DurationVar(&f.burstEvery, "burst-every", 0, "besides, a burst of orders this often on average")
	set.IntVar(&f.burstSize, "burst-size", 13, "orders in a burst")
	set.Float64Var(&f.cancelShare, "cancel-share", 0, "delete this share of the generated orders at a random moment (0 to 1)")
	set.Float64Var(&f.lostShare, "lost-share", 0, "never publish this share of the events (0 to 1)")
	set.Float64Var(&f.duplicateShare, "duplicate-share", 0, "publish this share of the events twice (0 to 1)")
	set.DurationVar(&f.publishDelay, "publish-delay", 0, "publish each event late by a random time up to this")
	set.Uint64Var(&f.seed, "seed", 0, "repeat the run of this seed: same ids, same decisions (0: a random one)")
	set.StringVar(&f.stateFile, "state-file", "", "keep the orders here over restarts (default: forget them, as the original)")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "log every change of an order")
}

// config turns flags and environment into a simulator's Config. Only flags that
// were given change the preset.
func (f *flags) config(given func(string) bool, getenv func(string) string) (ordersim.Config, error) {
	cfg := ordersim.DefaultConfig()
	if f.demo {
		cfg = ordersim.DemoConfig()
	}
	if addr := getenv("HTTP_ADDR"); addr != "" {
		cfg.Addr = addr
	}
	if topic := getenv("KAFKA_ORDER_TOPIC"); topic != "" {
		cfg.Topic = topic
	}
	cfg.Brokers = list(getenv("KAFKA_BROKERS"))
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

// settings are what a person sets, by the field that it becomes.
var settings = map[string]string{
	"Addr":             "HTTP_ADDR",
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

// check says what ordersim would say, of the settings instead of its fields.
func check(cfg ordersim.Config) error {
	var errs []error
	for _, bad := range cfg.BadValues() {
		errs = append(errs, fmt.Errorf("%s is %v: %s", settings[bad.Field], bad.Value, bad.Mend))
	}
	return errors.Join(errs...)
}

// timers applies --time-scale, then --step: a step that is given is meant as it
// is.
func (f *flags) timers(steps *ordersim.Steps) error {
	if f.timeScale <= 0 {
		return fmt.Errorf("--time-scale is %v: give a factor above 0, such as 60", f.timeScale)
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
			errs = append(errs, fmt.Errorf("--step %s: no timer of that status, give created, pending, confirmed, cooking or delivering", status))
			continue
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--step %s=%s: give a time such as 20s or 5m", status, text))
		}
		*field = d
	}
	return errors.Join(errs...)
}

func (f *flags) arrivals(given func(string) bool, cfg *ordersim.Config) error {
	if given("rate") && given("every") {
		return errors.New("--rate and --every say the same: give one of them")
	}
	if f.rate < 0 {
		return fmt.Errorf("--rate is %v: give orders a second, 0 or more", f.rate)
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
	return nil
}

func replace[T any](given bool, field *T, value T) {
	if given {
		*field = value
	}
}

// list splits at commas and leaves out what is empty.
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
