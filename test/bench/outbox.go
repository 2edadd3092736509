package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/outbox"
)

const (
	eventTopic  = "courier.assignment.changed"
	outboxTurns = 3
	// steadyEvents is how many events the outbox publishes per order of a steady load.
	steadyEvents = 2
)

// outboxReport compares the service with the outbox on and off.
type outboxReport struct {
	options
	Turns   []outboxTurn `json:"turns"`
	Off     outboxTurn   `json:"off"`
	On      outboxTurn   `json:"on"`
	CPU     float64      `json:"service_cpu_us_per_published_event"` // at the steady rate
	Backlog result       `json:"backlog"`
}

// outboxTurn is one steady load, or all of a kind.
type outboxTurn struct {
	On bool `json:"on"`
	latency
	CPU map[string]float64 `json:"cpu_us_per_order"`
}

// measureOutbox measures the path of an order event with the outbox off and on, in turns,
// and then publishes a backlog while no order event arrives.
func measureOutbox(ctx context.Context, o options, bar *progress) (printer, error) {
	report := &outboxReport{options: o}
	pace := steadyLoad{targetRate, o.Seconds}
	warmUp := steadyLoad{targetRate, min(warmUp.seconds, 6*o.Seconds)} // shorter for a trial
	total := warmUp.orders() + 2*outboxTurns*pace.orders() + o.Orders
	err := withStack(ctx, capacity{orders: total, couriers: total, partitions: o.Partitions}, bar, func(s *stack) error {
		if err := s.kafka.CreateTopic(ctx, eventTopic, o.Partitions); err != nil {
			return err
		}
		var ids allocator
		bar.step("warming up")
		if err := s.withOutbox(ctx, func() error {
			_, _, err := s.measureSteady(ctx, warmUp, ids.next(warmUp.orders()), bar)
			return err
		}); err != nil {
			return err
		}
		if err := report.steady(ctx, s, pace, &ids, bar); err != nil {
			return err
		}
		if _, err := s.createdLoad("created", ids.next(o.Orders)).run(ctx, s, bar); err != nil {
			return err
		}
		if err := report.backlog(ctx, s, bar); err != nil {
			return err
		}
		bar.step("verifying")
		return s.verify(ctx, 0, total)
	})
	return report, err
}

// steady measures each kind in turns, since the speed of the machine drifts.
func (o *outboxReport) steady(ctx context.Context, s *stack, pace steadyLoad, ids *allocator, bar *progress) error {
	kinds := []*outboxTurn{&o.Off, &o.On}
	all := []histogram{newHistogram(), newHistogram()}
	for range outboxTurns {
		for i, kind := range kinds {
			turn := outboxTurn{On: i == 1}
			measure := func() error {
				h, r, err := s.measureSteady(ctx, pace, ids.next(pace.orders()), bar)
				turn.CPU = r.CPU
				if err == nil {
					turn.latency = h.latency(pace.rate)
					all[i].Merge(h.Histogram)
				}
				return err
			}
			run := measure
			if turn.On {
				run = func() error { return s.withOutbox(ctx, measure) }
			}
			if err := run(); err != nil {
				return err
			}
			o.Turns = append(o.Turns, turn)
			*kind = outboxTurn{On: turn.On, latency: all[i].latency(pace.rate), CPU: kind.CPU}
			if kind.CPU == nil {
				kind.CPU = make(map[string]float64)
			}
			for program, us := range turn.CPU {
				kind.CPU[program] += us / outboxTurns
			}
		}
	}
	o.CPU = (o.On.CPU["service-courier"] - o.Off.CPU["service-courier"]) / steadyEvents
	return nil
}

// withOutbox switches the outbox on, from now on, for the services that run starts.
func (s *stack) withOutbox(ctx context.Context, run func() error) error {
	store := postgres.NewOutbox(s.pool)
	if err := outbox.PublishSince(ctx, postgres.NewJournal(s.pool), store, store, time.Now(), true); err != nil {
		return err
	}
	s.settings = []string{"KAFKA_ASSIGNMENT_TOPIC=" + eventTopic}
	defer func() { s.settings = nil }()
	return run()
}

// backlog publishes the whole journal.
func (o *outboxReport) backlog(ctx context.Context, s *stack, bar *progress) error {
	store := postgres.NewOutbox(s.pool)
	var events int
	if err := s.pool.QueryRow(ctx, "select count(*) from journal").Scan(&events); err != nil {
		return fmt.Errorf("count the journal: %w", err)
	}
	var took time.Duration
	var cpu map[string]float64
	l := load{name: fmt.Sprintf("%d events", events), events: events}
	l.drive = func(ctx context.Context) error {
		from, _, err := store.Position(ctx)
		if err != nil {
			return err
		}
		before, began := cpuByProgram(), time.Now()
		if err := store.Advance(ctx, from, 0); err != nil {
			return err
		}
		for at := int64(0); at < from; {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("published up to %d of %d: %w", at, from, context.Cause(ctx))
			}
			if at, _, err = store.Position(ctx); err != nil {
				return err
			}
		}
		took, cpu = time.Since(began), perEvent(before, cpuByProgram(), events)
		return nil
	}
	err := s.withOutbox(ctx, func() (err error) {
		o.Backlog, err = l.run(ctx, s, bar)
		return err
	})
	o.Backlog.Name, o.Backlog.CPU = l.name, cpu
	o.Backlog.Seconds, o.Backlog.Rate = took.Seconds(), float64(events)/took.Seconds()
	return err
}

func (o *outboxReport) print() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-22s %8s %8s %8s   ms   CPU µs per order\n", fmt.Sprintf("%d per second, outbox", targetRate), "p50", "p99", "max")
	line := func(suffix string, t outboxTurn) {
		name := map[bool]string{false: "off", true: "on"}[t.On] + suffix
		fmt.Fprintf(&text, "%-22s %8.2f %8.2f %8.2f        %s\n", name, t.P50, t.P99, t.Max, cpuText(t.CPU))
	}
	for _, t := range o.Turns {
		line("", t)
	}
	line(", all turns", o.Off)
	line(", all turns", o.On)
	fmt.Fprintf(&text, "\nthe service's CPU per published event, on minus off: %.0f µs\n", o.CPU)
	fmt.Fprintf(&text, "backlog of %s: %.0f events per second; CPU µs per event: %s\n", o.Backlog.Name, o.Backlog.Rate, cpuText(o.Backlog.CPU))
	return text.String() + outboxLegend
}

const outboxLegend = `
latency    from the moment each event was due until the COMMIT that assigned its order, as in the table; every
           order has two transitions. The turns alternate, since the speed of the machine drifts
backlog    the whole journal is published while no order event arrives: from the moment the position is set back
           until the last event is acknowledged and the position stored
`
