package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

// getConnections is what the service uses.
const getConnections = 256

// envGets makes this program the client of the pure GET rate: the service asks
// from a process of its own too.
const envGets = "SERVICE_COURIER_BENCH_GETS"

// The GETs of a measurement: the first only open the connections.
const (
	warmUpGets   = 10 * getConnections
	measuredGets = 100_000 // two seconds and more
)

// measureGets returns the pure GETs of a client process.
func (s *stack) measureGets(ctx context.Context) (r result, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cpu := cpuByProgram()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", envGets, s.neighbour.url(), len(s.neighbour.endings)))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("pure GETs: %w", err)
	}
	if err := json.Unmarshal(out, &r.Seconds); err != nil {
		return r, fmt.Errorf("pure GETs: %w", err)
	}
	r.Rate, r.GETs = measuredGets/r.Seconds, 1
	r.Events, r.GETsPerChange = r.Rate, 1
	r.CPU = perEvent(cpu, cpuByProgram(), warmUpGets+measuredGets)
	return r, nil
}

// getMany is the client process: it prints how many seconds the GETs took.
func getMany(ctx context.Context, task string) error {
	var url string
	var orders int
	if _, err := fmt.Sscan(task, &url, &orders); err != nil {
		return err
	}
	client, err := order.NewHTTPClient(order.Config{BaseURL: url, Timeout: 10 * time.Second, Concurrency: getConnections})
	if err != nil {
		return err
	}
	defer client.Close()
	if err := getAll(ctx, client, orders, warmUpGets); err != nil {
		return err
	}
	began := time.Now()
	if err := getAll(ctx, client, orders, measuredGets); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(time.Since(began).Seconds())
}

// getAll asks for n orders, as many at a time as there are connections.
func getAll(ctx context.Context, client order.OrderClient, orders, n int) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, getConnections)
	for c := range getConnections {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && errs[c] == nil; i = next.Add(1) - 1 {
				_, errs[c] = client.Get(ctx, courier.OrderID(orderID(int(i)%orders)))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
