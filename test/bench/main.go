// Command bench measures the service as it runs in production: the built program
// on a real Apache Kafka and a real PostgreSQL with fsync. It serves the orders
// itself, from a map with bodies of full size, so that a slow service-order does not
// improve the ratio to the pure GET rate, which is measured in the same run.
//
//	go run ./test/bench [--orders 20000] [--seconds 10] [--json]   the table
//	go run ./test/bench full [--history 10000000]                  full tables against empty ones
//	go run ./test/bench growth [--finished 10000000]               finished orders on an ordinary PostgreSQL
//	go run ./test/bench scale                                      1, 2 and 4 replicas
//	go run ./test/bench backlog [--events 1000000]                 catching up, five events per order
//	go run ./test/bench outbox [--seconds 10]                      publishing events on and off, and a backlog of them
//	go run ./test/bench viewers [--seconds 10]                     the board in a browser (Chromium), and 100 open boards
//
// Everything it starts is temporary and removed afterwards. docs/performance.md
// explains the figures.
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
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

type options struct {
	What       string `json:"what"`
	Orders     int    `json:"orders"`
	Partitions int    `json:"partitions"`
	History    int    `json:"history,omitempty"`
	Finished   int    `json:"finished,omitempty"`
	Events     int    `json:"events,omitempty"`
	Seconds    int    `json:"-"`
	json       bool
}

var measurements = map[string]func(context.Context, options, *progress) (printer, error){
	"table": measureTable, "full": measureFull, "growth": measureGrowth, "scale": measureScale, "backlog": measureBacklog, "outbox": measureOutbox, "viewers": measureViewers,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch gets, single, viewers := os.Getenv(envGets), os.Getenv(envSingle), os.Getenv(envViewers); {
	case viewers != "":
		err = runViewers(ctx, viewers)
	case gets != "":
		err = runGets(ctx, gets)
	case single != "":
		err = runSingle(ctx, single)
	default:
		err = bench(ctx, os.Args[1:])
	}
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, err error) {
	set := pflag.NewFlagSet("bench [table|full|growth|scale|backlog|outbox|viewers]", pflag.ContinueOnError)
	set.IntVar(&o.Orders, "orders", 60_000, "orders per load")
	set.IntVar(&o.Partitions, "partitions", 6, "partitions of the topic")
	set.IntVar(&o.History, "history", 10_000_000, "full: finished deliveries in the tables")
	set.IntVar(&o.Finished, "finished", 1_000_000, "growth: finished orders in the tables")
	set.IntVar(&o.Events, "events", 1_000_000, "backlog: events to catch up with, five per order")
	set.IntVar(&o.Seconds, "seconds", 10, "table, outbox, viewers: duration of each steady rate; 0 skips latencies of the table")
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
		return o, errors.New("the argument must be one of table, full, growth, scale, backlog, outbox, viewers")
	case o.Orders < 1000 || o.Partitions < 1:
		return o, errors.New("--orders must be at least 1000, --partitions at least 1")
	case o.Events < 10_000 || o.History < 0 || o.Finished < 0 || o.Seconds < 0:
		return o, errors.New("--events must be at least 10000, --history, --finished and --seconds at least 0")
	}
	return o, nil
}

func bench(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	bar := &progress{terminal: term.IsTerminal(int(os.Stderr.Fd()))}
	defer bar.end()
	report, err := measurements[o.What](ctx, o, bar)
	if err != nil {
		return err
	}
	bar.end()
	if o.json {
		return printJSON(os.Stdout, report)
	}
	_, err = fmt.Printf("%s: %d orders per load, %d partitions; everything on one machine with %d cores\n\n%s",
		o.What, o.Orders, o.Partitions, runtime.NumCPU(), report.print())
	return err
}

// withStack runs measure on a new stack.
func withStack(ctx context.Context, c capacity, bar *progress, measure func(*stack) error) (err error) {
	bar.step("starting Kafka and PostgreSQL")
	var s stack
	defer func() {
		bar.step("stopping")
		err = errors.Join(err, s.stop())
	}()
	if err := s.start(ctx, c); err != nil {
		return err
	}
	return measure(&s)
}

// progress shows the progress on standard error: one moving line on a terminal,
// else a line every few seconds.
type progress struct {
	terminal bool
	last     time.Time
}

func (p *progress) step(name string) {
	p.last = time.Now()
	p.print(name)
}

func (p *progress) at(name string, done, total int) {
	every := 3 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	if time.Since(p.last) < every {
		return
	}
	const width = 30
	full := min(width*done/total, width)
	p.step(fmt.Sprintf("%-10s [%s%s] %d of %d", name, strings.Repeat("#", full), strings.Repeat(".", width-full), done, total))
}

func (p *progress) print(text string) {
	if p.terminal {
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(os.Stderr, text)
}

// end clears the moving line.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
