package main

import (
	"context"
	"encoding/json"
	"errors"
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

// The pure GETs and the one-by-one transactions run in a process of their own, as
// the service does: this program again, with a task in one of these variables.
const (
	envGets   = "SERVICE_COURIER_BENCH_GETS"
	envSingle = "SERVICE_COURIER_BENCH_SINGLE"
)

const getTimeout = 10 * time.Second

// getConnections is the service's number of connections to service-order.
const getConnections = 256

const (
	warmUpGets   = 10 * getConnections // open the connections; not measured
	measuredGets = 100_000             // at least two seconds
)

// runChild runs this program with a task and returns the seconds it prints.
func runChild(ctx context.Context, env string, task any) (seconds float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	text, err := json.Marshal(task)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env, cmd.Stderr = append(os.Environ(), env+"="+string(text)), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	return seconds, json.Unmarshal(out, &seconds)
}

func newOrderClient(url string, connections int) (*order.HTTPClient, error) {
	return order.NewHTTPClient(order.Config{BaseURL: url, Timeout: getTimeout, Concurrency: connections})
}

type getsTask struct {
	URL    string
	GRPC   string // host:port; empty: over HTTP
	Orders int
}

// measureGets measures pure GETs, or with grpcAddr calls of GetOrderById.
func (s *stack) measureGets(ctx context.Context, grpcAddr string) (r result, err error) {
	cpu := cpuByProgram()
	if r.Seconds, err = runChild(ctx, envGets, getsTask{s.orders.url(), grpcAddr, len(s.orders.completed)}); err != nil {
		return r, err
	}
	r.Rate, r.GETs = measuredGets/r.Seconds, 1
	r.Events, r.GETsPerChange = r.Rate, 1
	r.CPU = perEvent(cpu, cpuByProgram(), warmUpGets+measuredGets)
	return r, nil
}

// runGets is the client process of measureGets.
func runGets(ctx context.Context, raw string) error {
	var t getsTask
	if err := json.Unmarshal([]byte(raw), &t); err != nil {
		return err
	}
	var client order.OrderClient
	var err error
	if t.GRPC == "" {
		client, err = newOrderClient(t.URL, getConnections)
	} else {
		client, err = order.NewGRPCClient(order.GRPCConfig{Addr: t.GRPC, Timeout: getTimeout})
	}
	if err != nil {
		return err
	}
	get := func(i int) error {
		_, err := client.Get(ctx, courier.OrderID(orderID(i%t.Orders)))
		return err
	}
	if _, err := concurrently(getConnections, warmUpGets, get); err != nil {
		return err
	}
	took, err := concurrently(getConnections, measuredGets, get)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(took.Seconds())
}

// concurrently calls do for 0..n-1 on so many workers; a worker stops at its first error.
func concurrently(workers, n int, do func(i int) error) (took time.Duration, err error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, workers)
	start := time.Now()
	for w := range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = do(i)
			}
		})
	}
	wg.Wait()
	return time.Since(start), errors.Join(errs...)
}

// singleTask is what the service does for a batch of one, for each order. Kafka is
// left out, which only makes it faster.
type singleTask struct {
	OrdersURL, DatabaseURL string
	From, To               int
	Workers                int  // the topic's partitions: a usual consumer handles each in sequence
	Match                  bool // assign each order
}

// measureSingle returns the rate of one transaction per event, with the code and
// statements of the service.
func (s *stack) measureSingle(ctx context.Context, partitions int, r orderRange, match bool) (out result, err error) {
	cpu, gets := cpuByProgram(), s.orders.gets.Load()
	task := singleTask{s.orders.url(), s.postgres.URL(database), r.from, r.to, partitions, match}
	if out.Seconds, err = runChild(ctx, envSingle, task); err != nil {
		return out, err
	}
	events := float64(r.len())
	out.Rate, out.Events = events/out.Seconds, events/out.Seconds
	out.GETs = float64(s.orders.gets.Load()-gets) / events
	out.GETsPerChange = out.GETs
	out.CPU = perEvent(cpu, cpuByProgram(), r.len())
	return out, nil
}

// noObserver ignores everything.
type noObserver struct{}

func (noObserver) Reconciled(orderevent.BatchResult) {}
func (noObserver) Matched([]orderevent.Assignment)   {}
func (noObserver) Coalesced(int)                     {}
func (noObserver) Panicked()                         {}
func (noObserver) Begin(ctx context.Context, _ orderevent.Phase, _ ...orderevent.Hint) (context.Context, orderevent.End) {
	return ctx, func(int, error) {}
}

// runSingle is the process of measureSingle.
func runSingle(ctx context.Context, raw string) error {
	var t singleTask
	if err := json.Unmarshal([]byte(raw), &t); err != nil {
		return err
	}
	client, err := newOrderClient(t.OrdersURL, getConnections)
	if err != nil {
		return err
	}
	defer client.Close()
	pool, err := postgres.Open(ctx, t.DatabaseURL, t.Workers)
	if err != nil {
		return err
	}
	defer pool.Close()
	log := slog.New(slog.DiscardHandler)
	matching := postgres.NewMatching(pool)
	reconciler := orderevent.NewReconciler(order.NewBreaker(client, client, log), postgres.NewOrders(pool),
		orderevent.NewMatcher(matching, noObserver{}), noObserver{}, log, 1)
	start := time.Now()
	_, err = concurrently(t.Workers, t.To-t.From, func(i int) error {
		hint := orderevent.Hint{OrderID: courier.OrderID(orderID(t.From + i)), Source: "bench"}
		err := reconciler.Reconcile(ctx, orderevent.Batch{Hints: []orderevent.Hint{hint}}, nil)
		if err == nil && t.Match {
			_, err = matching.Match(ctx, 1)
		}
		return err
	})
	if err != nil {
		return err
	}
	// Matching may have skipped an order behind a locked one.
	for t.Match {
		assigned, err := matching.Match(ctx, t.To-t.From)
		if err != nil {
			return err
		}
		if len(assigned) == 0 {
			break
		}
	}
	return json.NewEncoder(os.Stdout).Encode(time.Since(start).Seconds())
}
