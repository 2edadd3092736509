package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/pflag"
)

// options are what a run can be asked for.
type options struct {
	Orders     int `json:"orders"`
	Couriers   int `json:"couriers"`
	Partitions int `json:"partitions"`
	json       bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if task := os.Getenv(envGets); task != "" {
		err = gets(ctx, task)
	} else {
		err = bench(ctx, os.Args[1:])
	}
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop only unregisters the signals
	}
}

func parse(args []string) (o options, err error) {
	set := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	set.IntVar(&o.Orders, "orders", 20_000, "orders, with one created and one completed event each")
	set.IntVar(&o.Couriers, "couriers", 0, "couriers, at least as many as orders (default: as many)")
	set.IntVar(&o.Partitions, "partitions", 6, "partitions of the topic")
	set.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if o.Couriers == 0 {
		o.Couriers = o.Orders
	}
	switch {
	case o.Orders < 1 || o.Partitions < 1:
		return o, errors.New("--orders and --partitions: give 1 or more")
	case o.Couriers < o.Orders:
		return o, errors.New("--couriers: give at least as many as orders, or the line never empties")
	}
	return o, nil
}

// bench does the whole run and prints what it found, or why it means nothing.
func bench(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	bar := newProgress()
	var s stack
	defer func() {
		bar.end()
		err = errors.Join(err, s.down())
	}()
	bar.step("starting Kafka and PostgreSQL")
	if err := s.up(ctx, o); err != nil {
		return err
	}
	r, err := measure(ctx, &s, o, bar)
	if err != nil {
		return err
	}
	bar.end()
	return r.print(os.Stdout)
}

func measure(ctx context.Context, s *stack, o options, bar *progress) (r report, err error) {
	r = report{options: o, Cores: runtime.NumCPU()}
	bar.step("pure GETs")
	if r.PureGETs, err = measureGets(ctx, s.neighbour.url(), o.Orders); err != nil {
		return r, err
	}
	if r.Created, err = created.run(ctx, s, o.Orders, bar); err != nil {
		return r, err
	}
	if err := s.verifyCreated(ctx, o); err != nil {
		return r, fmt.Errorf("after created the database is wrong: %w", err)
	}
	if r.Completed, err = completed.run(ctx, s, o.Orders, bar); err != nil {
		return r, err
	}
	bar.step("pure GETs again")
	if r.PureAgain, err = measureGets(ctx, s.neighbour.url(), o.Orders); err != nil {
		return r, err
	}
	bar.step("verifying")
	if err := s.verifyCompleted(ctx, o); err != nil {
		return r, fmt.Errorf("after completed the database is wrong: %w", err)
	}
	r.compare()
	return r, nil
}
