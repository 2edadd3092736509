// Package worker runs the periodic tasks: matching on a timer, due rechecks, the
// resync with service-order, expiry of overdue deliveries, monitoring and clean-up.
// Tasks decide nothing about an order; they call the use cases.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"service-courier/internal/gateway/order"
	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
)

// Task is work that is repeated in rounds.
type Task struct {
	Name     string                      // in the log and in the metrics
	Interval time.Duration               // maximum time between the starts of two rounds
	Delay    time.Duration               // before the first round
	Retry    time.Duration               // pause before a failed round, or one skipped for service-order, is repeated; 0 means a second
	Leader   Leader                      // optional: a round runs on one replica at a time
	Gate     Gate                        // optional: no round while service-order is unavailable
	Needs    []*outage.Dependency        // each logs the failures that are its outage
	Trigger  <-chan struct{}             // optional: starts a round, which is retried until it succeeds
	Run      func(context.Context) error // one round
}

// Leader runs a function on one replica at a time.
type Leader interface {
	// Lead returns false, without a call of do, while another replica leads.
	Lead(ctx context.Context, do func(context.Context) error) (bool, error)
}

// Gate reports whether service-order is available.
type Gate interface {
	// Ready returns nil unless orders fail, so that a round is worth its work.
	Ready(ctx context.Context) error
	// Answers returns nil if service-order answers, for which it may be probed. A failure is
	// reported there.
	Answers(ctx context.Context) error
}

// Observer receives the result of each round, for the metrics.
type Observer interface {
	TaskFinished(task string, result Result, took time.Duration)
}

// Result is the outcome of a round.
type Result string

// The results of a round. A round is skipped while service-order is unavailable and
// while another replica leads.
const (
	Succeeded Result = "succeeded"
	Failed    Result = "failed"
	Panicked  Result = "panicked"
	Skipped   Result = "skipped"
)

const (
	defaultRetry = time.Second
	// jitter is the part of an interval by which it is shortened at most, so that
	// the replicas do not run in step.
	jitter = 0.05
)

// errPanicked marks the error of a round that panicked.
var errPanicked = errors.New("panic")

// Run runs tasks until ctx ends. The failure or panic of a round is reported, and
// the task goes on.
func Run(ctx context.Context, observer Observer, log *slog.Logger, tasks ...Task) {
	var running sync.WaitGroup
	for _, t := range tasks {
		running.Go(func() { t.loop(ctx, observer, log) })
	}
	running.Wait()
}

func (t Task) loop(ctx context.Context, observer Observer, log *slog.Logger) {
	reporter := outage.New(log, t.Name).On(t.Needs...)
	retry := t.Retry
	if retry == 0 {
		retry = defaultRetry
	}
	sleep(ctx, t.Delay)
	pause := retry // doubles while rounds fail, up to the interval
	for triggered := false; ctx.Err() == nil; {
		began := time.Now()
		result, err := t.containRound(ctx, log)
		took := time.Since(began)
		if ctx.Err() != nil {
			return
		}
		observer.TaskFinished(t.Name, result, took)
		next := time.Duration(float64(t.Interval)*(1-jitter*rand.Float64())) - took
		switch result {
		case Succeeded:
			reporter.Recovered(ctx)
			triggered, pause = false, retry
		case Failed:
			reporter.Failed(ctx, err)
			next = min(pause, max(next, retry))
			pause = min(2*pause, max(t.Interval, retry))
		case Panicked:
			reporter.Failed(ctx, err)
			next = max(next, retry)
		case Skipped:
			if err != nil { // service-order is away: soon after its return
				next = min(next, retry)
			}
		}
		if triggered {
			sleep(ctx, retry)
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(next):
		case <-t.Trigger:
			triggered = true
		}
	}
}

// containRound runs a round and contains panics of its gate and its leader lock as well.
func (t Task) containRound(ctx context.Context, log *slog.Logger) (result Result, err error) {
	err = contain(ctx, log, t.Name, func(ctx context.Context) (err error) {
		result, err = t.round(ctx, log)
		return err
	})
	if errors.Is(err, errPanicked) {
		result = Panicked
	}
	return result, err
}

// round runs the task once, unless it has to be skipped: with an error if that is for
// service-order.
func (t Task) round(ctx context.Context, log *slog.Logger) (Result, error) {
	if t.Gate != nil {
		if err := t.Gate.Ready(ctx); err != nil { // the circuit breaker logs it
			return Skipped, err
		}
	}
	run := func(ctx context.Context) error { return contain(ctx, log, t.Name, t.Run) }
	led, err := true, error(nil)
	if t.Leader != nil {
		led, err = t.Leader.Lead(ctx, run)
	} else {
		err = run(ctx)
	}
	switch {
	case errors.Is(err, errPanicked):
		return Panicked, err
	case errors.Is(err, ErrNotChecked), err == nil && !led:
		return Skipped, nil
	case errors.Is(err, orderevent.ErrPaused):
		return Skipped, err
	case errors.Is(err, order.ErrUnavailable) && t.Gate != nil && t.Gate.Answers(ctx) != nil: // which has reported it
		return Skipped, err
	case errors.Is(err, order.ErrUnavailable):
		return Failed, order.Explain(err)
	case err != nil:
		return Failed, err
	}
	return Succeeded, nil
}

// contain calls run and turns a panic into an error, so that a fault in one task does
// not end the process.
func contain(ctx context.Context, log *slog.Logger, task string, run func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "panic recovered", slog.String("component", "task "+task), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	return run(ctx)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
