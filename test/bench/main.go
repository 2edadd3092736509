package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

// options are what a run can be asked for.
type options struct {
	What       string `json:"what"`
	Orders     int    `json:"orders"`
	Partitions int    `json:"partitions"`
	History    int    `json:"history,omitempty"` // finished deliveries, for full
	Events     int    `json:"events,omitempty"`  // of the backlog
	Seconds    int    `json:"-"`                 // of each steady rate
	json       bool
}

// measurements are what can be asked for.
var measurements = map[string]func(context.Context, options, *progress) (printer, error){
	"table": measureTable, "full": measureFull, "scale": measureScale, "backlog": measureBacklog,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch gets, one := os.Getenv(envGets), os.Getenv(envSingle); {
	case gets != "":
		err = getMany(ctx, gets)
	case one != "":
		err = single(ctx, one)
	default:
		err = bench(ctx, os.Args[1:])
	}
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop only unregisters the signals
	}
}

func parse(args []string) (o options, err error) {
	set := pflag.NewFlagSet("bench [table|full|scale|backlog]", pflag.ContinueOnError)
	set.IntVar(&o.Orders, "orders", 60_000, "orders of each load")
	set.IntVar(&o.Partitions, "partitions", 6, "partitions of the topic")
	set.IntVar(&o.History, "history", 10_000_000, "full: finished deliveries in the tables")
	set.IntVar(&o.Events, "events", 1_000_000, "backlog: events that wait, five an order")
	set.IntVar(&o.Seconds, "seconds", 10, "table: of each steady rate; 0 leaves them out")
	set.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	o.What = "table"
	if set.NArg() > 0 {
		o.What = set.Arg(0)
	}
	switch {
	case set.NArg() > 1 || measurements[o.What] == nil:
		return o, errors.New("give one of table, full, scale, backlog")
	case o.Orders < 1000 || o.Partitions < 1:
		return o, errors.New("--orders: give 1000 or more; --partitions: 1 or more")
	case o.Events < 10_000 || o.History < 0 || o.Seconds < 0:
		return o, errors.New("--events: give 10000 or more; --history and --seconds: 0 or more")
	}
	return o, nil
}

// bench does the whole run and prints what it found, or why it means nothing.
func bench(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	bar := newProgress()
	defer bar.end()
	found, err := measurements[o.What](ctx, o, bar)
	if err != nil {
		return err
	}
	bar.end()
	if o.json {
		return printJSON(os.Stdout, found)
	}
	_, err = os.Stdout.WriteString(heading(o) + found.print())
	return err
}

func heading(o options) string {
	return fmt.Sprintf("%s: %d orders a load, %d partitions; everything on one machine with %d cores\n\n",
		o.What, o.Orders, o.Partitions, runtime.NumCPU())
}

// with runs measure on a stack of its own.
func with(ctx context.Context, c capacity, bar *progress, measure func(*stack) error) (err error) {
	bar.step("starting Kafka and PostgreSQL")
	var s stack
	defer func() {
		bar.step("stopping")
		err = errors.Join(err, s.down())
	}()
	if err := s.up(ctx, c); err != nil {
		return err
	}
	return measure(&s)
}

// table is the main result.
type table struct {
	options
	Cores     int       `json:"cores"`
	Rows      []result  `json:"rows"`
	Latencies []latency `json:"latencies"`
	GET       latency   `json:"single_get"`
	COMMIT    latency   `json:"single_commit"`
	Kafka     latency   `json:"kafka_alone"`
}

// judgedRate is the steady rate whose latency has a target, in events a second.
const judgedRate = 500

// steadyRates are events a second; the first is next to idle.
var steadyRates = []int{20, judgedRate, 2000}

// warmUp is a load that is not reported. A broker that has just started runs
// uncompiled: an event was seen to cost it 1,600 µs of CPU in the first half minute
// and 600 after a whole one.
var warmUp = steadyLoad{rate: judgedRate, seconds: 60}

func measureTable(ctx context.Context, o options, bar *progress) (printer, error) {
	t := table{options: o, Cores: runtime.NumCPU()}
	few := max(o.Orders/10, 1000) // of the slow way
	total := warmUp.orders() + 2*o.Orders + few
	for _, rate := range steadyRates {
		total += steadyLoad{rate, o.Seconds}.orders()
	}
	err := with(ctx, capacity{orders: total, couriers: total, partitions: o.Partitions}, bar, func(s *stack) error {
		return t.measure(ctx, s, o, few, bar)
	})
	t.compare()
	return t, err
}

func (t *table) measure(ctx context.Context, s *stack, o options, few int, bar *progress) error {
	var used supply
	open := 0 // orders that nobody completes
	keepUp := func(load steadyLoad) (latency, error) {
		open += load.orders()
		return s.steady(ctx, load, used.next(load.orders()), bar)
	}
	bar.step("warming up")
	if _, err := keepUp(warmUp); err != nil {
		return err
	}
	one, many, mixed := used.next(few), used.next(o.Orders), used.next(o.Orders)
	for _, step := range []struct {
		name string
		run  func() (result, error)
	}{
		{pureGETs, func() (result, error) { return s.measureGets(ctx) }},
		{singleCreated, func() (result, error) { return s.measureSingle(ctx, o, one, true) }},
		{singleCompleted, func() (result, error) {
			s.neighbour.complete(one)
			return s.measureSingle(ctx, o, one, false)
		}},
		{"created", func() (result, error) { return s.createdLoad("created", many).run(ctx, s, bar) }},
		{"completed", func() (result, error) { return s.completedLoad("completed", many).run(ctx, s, bar) }},
		{"mixed", func() (result, error) { return s.mixedLoad(mixed).run(ctx, s, bar) }},
		{pureGETs, func() (result, error) {
			if err := s.reuseWAL(ctx); err != nil {
				return result{}, err
			}
			return s.measureGets(ctx)
		}},
	} {
		bar.step(step.name)
		r, err := step.run()
		if err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(step.name), err)
		}
		r.Name = step.name
		t.Rows = append(t.Rows, r)
	}
	if o.Seconds > 0 {
		bar.step("GETs, COMMITs and Kafka alone")
		var err error
		if t.GET, err = s.getAlone(ctx); err != nil {
			return err
		}
		if t.COMMIT, err = s.commitAlone(ctx); err != nil {
			return err
		}
		if t.Kafka, err = s.kafkaAlone(ctx, steadyLoad{judgedRate, o.Seconds}, o.Partitions); err != nil {
			return err
		}
		for _, rate := range steadyRates {
			found, err := keepUp(steadyLoad{rate, o.Seconds})
			if err != nil {
				return err
			}
			t.Latencies = append(t.Latencies, found)
		}
	}
	bar.step("verifying")
	return s.verify(ctx, int(used)-open, open)
}

// compare sets the ratios: to the mean of both measurements of the pure GETs,
// for a machine is seldom as fast at the end as at the beginning.
func (t *table) compare() {
	rate := make(map[string][]float64)
	for _, r := range t.Rows {
		rate[r.Name] = append(rate[r.Name], r.Rate)
	}
	mean := func(name string) (sum float64) {
		for _, r := range rate[name] {
			sum += r / float64(len(rate[name]))
		}
		return sum
	}
	for i := range t.Rows {
		r := &t.Rows[i]
		r.OfGETs = r.Rate / mean(pureGETs)
		switch r.Name {
		case "created":
			r.OfSingle = r.Rate / mean(singleCreated)
		case "completed":
			r.OfSingle = r.Rate / mean(singleCompleted)
		case "mixed":
			r.OfSingle = r.Rate / (2 / (1/mean(singleCreated) + 1/mean(singleCompleted)))
		}
	}
}
