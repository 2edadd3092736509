package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
)

// table is the main report.
type table struct {
	options
	Cores     int       `json:"cores"`
	Rows      []result  `json:"rows"`
	Latencies []latency `json:"latencies"`
	GET       latency   `json:"single_get"`
	COMMIT    latency   `json:"single_commit"`
	Kafka     latency   `json:"kafka_alone"`

	// Rates with ORDER_SERVICE_PREFER=grpc, as multiples of those over HTTP.
	CreatedGRPC   float64 `json:"created_grpc_of_http"`
	CompletedGRPC float64 `json:"completed_grpc_of_http"`
}

// The rows that others are compared with.
const (
	pureGETs        = "pure GETs"
	singleCreated   = "created, one by one"
	singleCompleted = "completed, one by one"
	created         = "created"
	completed       = "completed"
	createdGRPC     = "created, gRPC first"
	completedGRPC   = "completed, gRPC first"
)

// targetRate is the steady rate whose latency has a target, in events per second.
const targetRate = 500

// steadyRates are in events per second; the first is close to idle.
var steadyRates = []int{20, targetRate, 2000}

// warmUp is a load that is not reported: until its JVM has compiled its code, a
// broker needs 1,600 µs of CPU per event instead of 600.
var warmUp = steadyLoad{rate: targetRate, seconds: 60}

func measureTable(ctx context.Context, o options, bar *progress) (printer, error) {
	t := table{options: o, Cores: runtime.NumCPU()}
	few := max(o.Orders/10, 1000) // one by one is slow
	total := warmUp.orders() + 3*o.Orders + few
	for _, rate := range steadyRates {
		total += steadyLoad{rate, o.Seconds}.orders()
	}
	err := withStack(ctx, capacity{orders: total, couriers: total, partitions: o.Partitions}, bar, func(s *stack) error {
		return t.measure(ctx, s, few, bar)
	})
	t.compare()
	return t, err
}

func (t *table) measure(ctx context.Context, s *stack, few int, bar *progress) error {
	var ids allocator
	assigned := 0 // orders that are never completed
	steady := func(load steadyLoad) (latency, error) {
		assigned += load.orders()
		h, _, err := s.measureSteady(ctx, load, ids.next(load.orders()), bar)
		if err != nil {
			return latency{}, err
		}
		return h.latency(load.rate), nil
	}
	bar.step("warming up")
	if _, err := steady(warmUp); err != nil {
		return err
	}
	single, mixed := ids.next(few), ids.next(t.Orders)
	first, second := ids.next(t.Orders).halves()
	firstGRPC, secondGRPC := ids.next(t.Orders).halves()
	overHTTP := func(l load) (result, error) { return l.run(ctx, s, bar) }
	preferGRPC := func(l load) (r result, err error) {
		err = s.with([]string{"ORDER_SERVICE_GRPC_ADDR=" + s.orders.grpcAddr, "ORDER_SERVICE_PREFER=grpc"}, func() error {
			r, err = l.run(ctx, s, bar)
			return err
		})
		return r, err
	}
	for _, step := range []struct {
		name string
		run  func() (result, error)
	}{
		{pureGETs, func() (result, error) { return s.measureGets(ctx, "") }},
		{"pure gRPC calls", func() (result, error) { return s.measureGets(ctx, s.orders.grpcAddr) }},
		{singleCreated, func() (result, error) { return s.measureSingle(ctx, t.Partitions, single, true) }},
		{singleCompleted, func() (result, error) {
			s.orders.complete(single)
			return s.measureSingle(ctx, t.Partitions, single, false)
		}},
		{created, func() (result, error) { return overHTTP(s.createdLoad(created, first)) }},
		{createdGRPC, func() (result, error) { return preferGRPC(s.createdLoad(createdGRPC, firstGRPC)) }},
		{createdGRPC, func() (result, error) { return preferGRPC(s.createdLoad(createdGRPC, secondGRPC)) }},
		{created, func() (result, error) { return overHTTP(s.createdLoad(created, second)) }},
		{completed, func() (result, error) { return overHTTP(s.completedLoad(completed, first)) }},
		{completedGRPC, func() (result, error) { return preferGRPC(s.completedLoad(completedGRPC, firstGRPC)) }},
		{completedGRPC, func() (result, error) { return preferGRPC(s.completedLoad(completedGRPC, secondGRPC)) }},
		{completed, func() (result, error) { return overHTTP(s.completedLoad(completed, second)) }},
		{"mixed", func() (result, error) { return overHTTP(s.mixedLoad(mixed)) }},
		{pureGETs, func() (result, error) {
			if err := s.checkpoint(ctx); err != nil {
				return result{}, err
			}
			return s.measureGets(ctx, "")
		}},
	} {
		bar.step(step.name)
		r, err := step.run()
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		r.Name = step.name
		t.add(r)
	}
	if t.Seconds > 0 {
		bar.step("GETs, COMMITs and Kafka alone")
		var err error
		if t.GET, err = s.measureSingleGets(ctx); err != nil {
			return err
		}
		if t.COMMIT, err = s.measureSingleCommits(ctx); err != nil {
			return err
		}
		if t.Kafka, err = s.measureKafka(ctx, steadyLoad{targetRate, t.Seconds}, t.Partitions); err != nil {
			return err
		}
		for _, rate := range steadyRates {
			l, err := steady(steadyLoad{rate, t.Seconds})
			if err != nil {
				return err
			}
			t.Latencies = append(t.Latencies, l)
		}
	}
	bar.step("verifying")
	return s.verify(ctx, int(ids)-assigned, assigned)
}

// add adds a row. The second half of a load becomes a part of the row of its first: the
// halves with both transports are in the order HTTP, gRPC, gRPC, HTTP, because a load is
// slower on the larger tables that earlier ones leave.
func (t *table) add(r result) {
	i := slices.IndexFunc(t.Rows, func(row result) bool { return row.Name == r.Name && r.Name != pureGETs })
	if i < 0 {
		t.Rows = append(t.Rows, r)
		return
	}
	t.Rows[i] = t.Rows[i].and(r)
}

// compare sets the ratios. The pure GETs count as the mean of both measurements,
// because the machine's speed drifts.
func (t *table) compare() {
	rates := make(map[string][]float64)
	for _, r := range t.Rows {
		rates[r.Name] = append(rates[r.Name], r.Rate)
	}
	mean := func(name string) (sum float64) {
		for _, r := range rates[name] {
			sum += r / float64(len(rates[name]))
		}
		return sum
	}
	t.CreatedGRPC, t.CompletedGRPC = mean(createdGRPC)/mean(created), mean(completedGRPC)/mean(completed)
	for i := range t.Rows {
		r := &t.Rows[i]
		r.OfGETs = r.Rate / mean(pureGETs)
		switch r.Name {
		case created, createdGRPC:
			r.OfSingle = r.Rate / mean(singleCreated)
		case completed, completedGRPC:
			r.OfSingle = r.Rate / mean(singleCompleted)
		case "mixed":
			r.OfSingle = r.Rate / (2 / (1/mean(singleCreated) + 1/mean(singleCompleted)))
		}
	}
}
