package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// envSingle makes this program the one that takes a transaction for each event.
const envSingle = "SERVICE_COURIER_BENCH_SINGLE"

// singleTask is what it has to do: for each order, what the service does for a
// batch of one. Kafka has no part in it, which only makes it faster.
type singleTask struct {
	Orders, Database string // URLs
	From, To         int
	Workers          int  // as many as the topic has partitions: a usual consumer works on each
	Match            bool // the orders are new, and each is given its courier
}

// measureSingle returns the rate of one transaction an event, with the same
// code and statements as the service, in a process of its own.
func (s *stack) measureSingle(ctx context.Context, o options, r orderRange, match bool) (out result, err error) {
	self, err := os.Executable()
	if err != nil {
		return out, err
	}
	task, err := json.Marshal(singleTask{s.neighbour.url(), s.postgres.URL(database), r.from, r.to, o.Partitions, match})
	if err != nil {
		return out, err
	}
	cpu, asked := cpuByProgram(), s.neighbour.asked.Load()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env, cmd.Stderr = append(os.Environ(), envSingle+"="+string(task)), os.Stderr
	printed, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("one transaction an event: %w", err)
	}
	if err := json.Unmarshal(printed, &out.Seconds); err != nil {
		return out, fmt.Errorf("one transaction an event: %w", err)
	}
	events := float64(r.len())
	out.Rate, out.Events = events/out.Seconds, events/out.Seconds
	out.GETs = float64(s.neighbour.asked.Load()-asked) / events
	out.GETsPerChange = out.GETs
	out.CPU = perEvent(cpu, cpuByProgram(), r.len())
	return out, nil
}

// nobody is told nothing.
type nobody struct{}

func (nobody) Reconciled(orderevent.Outcome)   {}
func (nobody) Matched([]orderevent.Assignment) {}
func (nobody) Begin(ctx context.Context, _ orderevent.Phase, _ ...orderevent.Hint) (context.Context, orderevent.End) {
	return ctx, func(int, error) {}
}

// single is the process: it prints how many seconds the events took.
func single(ctx context.Context, raw string) error {
	var t singleTask
	if err := json.Unmarshal([]byte(raw), &t); err != nil {
		return err
	}
	client, err := order.NewHTTPClient(order.Config{BaseURL: t.Orders, Timeout: 10 * time.Second, Concurrency: getConnections})
	if err != nil {
		return err
	}
	defer client.Close()
	pool, err := postgres.Open(ctx, t.Database, t.Workers)
	if err != nil {
		return err
	}
	defer pool.Close()
	log := slog.New(slog.DiscardHandler)
	line := postgres.NewLine(pool)
	reconciler := orderevent.NewReconciler(order.NewBreaker(client, log), postgres.NewOrders(pool),
		orderevent.NewMatcher(line, nobody{}), nobody{}, log, 1)
	handle := func(i int) error {
		hint := orderevent.Hint{OrderID: courier.OrderID(orderID(i)), Source: "bench"}
		err := reconciler.Reconcile(ctx, orderevent.Batch{Hints: []orderevent.Hint{hint}})
		if err == nil && t.Match {
			_, err = line.Match(ctx, 1)
		}
		return err
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, t.Workers)
	began := time.Now()
	for w := range t.Workers {
		wg.Go(func() {
			for i := t.From + int(next.Add(1)) - 1; i < t.To && errs[w] == nil; i = t.From + int(next.Add(1)) - 1 {
				errs[w] = handle(i)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// An order that stood behind a locked one may have been passed over.
	for t.Match {
		assigned, err := line.Match(ctx, t.To-t.From)
		if err != nil {
			return err
		}
		if len(assigned) == 0 {
			break
		}
	}
	return json.NewEncoder(os.Stdout).Encode(time.Since(began).Seconds())
}
