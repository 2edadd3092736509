package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/outbox"
)

const (
	eventTopic = "courier.assignment.changed"
	// outboxTurn is how long the outbox stays on or off. Turns are short, since the load of
	// the machine changes within seconds.
	outboxTurn = 2 * time.Second
	// outboxSettle is the part of a turn that is not measured: what the one before has begun.
	outboxSettle = 300 * time.Millisecond
	// outboxTurns is how many turns there are for each second of --seconds.
	outboxTurns = 6
	// steadyEvents is how many events the outbox publishes per order of a steady load.
	steadyEvents = 2
)

// outboxReport compares the service with the outbox on and off.
type outboxReport struct {
	options
	Turns   []*turn            `json:"turns"`
	Off     turns              `json:"off"`
	On      turns              `json:"on"`
	CPU     map[string]float64 `json:"cpu_us_per_published_event"` // at the steady rate, on minus off
	Backlog result             `json:"backlog"`
}

// turn is a part of a steady load.
type turn struct {
	On bool `json:"on"`
	latency
	CPU      map[string]float64 `json:"cpu_us_per_order"`
	from, to time.Time
	histogram
}

// turns are all turns of a kind.
type turns struct {
	latency
	P50s [3]float64         `json:"p50s_ms"` // quartiles of the turns' p50
	P99s [3]float64         `json:"p99s_ms"`
	CPU  map[string]float64 `json:"cpu_us_per_order"`
}

// measureOutbox measures the path of an order event with the outbox off and on, in turns,
// and then publishes a backlog while no order event arrives.
func measureOutbox(ctx context.Context, o options, bar *progress) (printer, error) {
	report := &outboxReport{options: o}
	pace := steadyLoad{targetRate, o.Seconds * outboxTurns * int(outboxTurn/time.Second)}
	warmUp := steadyLoad{targetRate, min(warmUp.seconds, 6*o.Seconds)} // shorter for a trial
	total := warmUp.orders() + pace.orders() + o.Orders
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
		if err := s.withOutbox(ctx, func() error { return report.steady(ctx, s, pace, ids.next(pace.orders()), bar) }); err != nil {
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

// steady measures one steady load, during which the outbox is switched off and on.
func (o *outboxReport) steady(ctx context.Context, s *stack, pace steadyLoad, r orderRange, bar *progress) error {
	alternate := func(ctx context.Context) error { return o.alternate(ctx, s, pace) }
	_, err := s.steady(ctx, pace, r, bar, alternate, func(due time.Time, took time.Duration) error {
		for _, t := range o.Turns {
			if !due.Before(t.from) && due.Before(t.to) {
				return t.record(took)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range o.Turns {
		t.latency = t.histogram.latency(pace.rate)
	}
	o.Off, o.On = turnsOf(o.Turns, false), turnsOf(o.Turns, true)
	o.CPU = make(map[string]float64)
	for program := range o.On.CPU {
		o.CPU[program] = (o.On.CPU[program] - o.Off.CPU[program]) / steadyEvents
	}
	return nil
}

// alternate switches the outbox off and on, from the end of the lead-in to the end of the load:
// off, on, on, off, and so on, so that a load that rises or falls counts for both.
func (o *outboxReport) alternate(ctx context.Context, s *stack, pace steadyLoad) error {
	end := time.Now().Add(leadIn * time.Second)
	if err := sleepUntil(ctx, end); err != nil {
		return err
	}
	for i := range time.Duration(pace.seconds) * time.Second / outboxTurn {
		t := &turn{On: i%4 == 1 || i%4 == 2, histogram: newHistogram()}
		begin := end.Add(outboxSettle)
		end = end.Add(outboxTurn)
		measure := func(ctx context.Context) error {
			if err := sleepUntil(ctx, begin); err != nil {
				return err
			}
			before := cpuByProgram()
			t.from = time.Now()
			err := sleepUntil(ctx, end)
			t.to = time.Now()
			t.CPU = perEvent(before, cpuByProgram(), int(t.to.Sub(t.from).Seconds()*float64(pace.rate)))
			return err
		}
		run := s.withoutOutbox
		if t.On {
			run = func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
		}
		if err := run(ctx, measure); err != nil {
			return err
		}
		o.Turns = append(o.Turns, t)
	}
	return nil
}

func sleepUntil(ctx context.Context, t time.Time) error {
	select {
	case <-time.After(time.Until(t)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// turnsOf sums up the turns of a kind.
func turnsOf(all []*turn, on bool) turns {
	sum, merged, n := turns{CPU: make(map[string]float64)}, newHistogram(), 0.0
	var p50s, p99s []float64
	for _, t := range all {
		if t.On != on {
			continue
		}
		n++
		merged.Merge(t.Histogram)
		p50s, p99s = append(p50s, t.P50), append(p99s, t.P99)
		for program, us := range t.CPU {
			sum.CPU[program] += us
		}
		sum.latency = merged.latency(t.Rate)
	}
	for program := range sum.CPU {
		sum.CPU[program] /= n
	}
	sum.P50s, sum.P99s = quartiles(p50s), quartiles(p99s)
	return sum
}

func quartiles(of []float64) (q [3]float64) {
	slices.Sort(of)
	for i := range q {
		q[i] = of[(i+1)*(len(of)-1)/4]
	}
	return q
}

// withoutOutbox holds the lock of the outbox while do runs, so that the service publishes
// nothing, and then leaves out what it would have published.
func (s *stack) withoutOutbox(ctx context.Context, do func(context.Context) error) error {
	store, journal := postgres.NewOutbox(s.pool), postgres.NewJournal(s.pool)
	leader := postgres.NewLeader(s.pool, postgres.OutboxLock)
	for {
		led, err := leader.Lead(ctx, func(ctx context.Context) error {
			if err := do(ctx); err != nil {
				return err
			}
			from, _, err := store.Position(ctx)
			if err != nil {
				return err
			}
			end, err := journal.End(ctx)
			if err != nil {
				return err
			}
			return store.Advance(ctx, from, end.ID)
		})
		if err == nil && !led { // the service publishes
			err = sleepUntil(ctx, time.Now().Add(time.Millisecond))
		}
		if led || err != nil {
			return err
		}
	}
}

// withOutbox switches the outbox on, from now on, for the services that run starts.
func (s *stack) withOutbox(ctx context.Context, run func() error) error {
	store := postgres.NewOutbox(s.pool)
	if err := outbox.PublishSince(ctx, postgres.NewJournal(s.pool), store, store, time.Now(), true); err != nil {
		return err
	}
	return s.with([]string{"KAFKA_ASSIGNMENT_TOPIC=" + eventTopic}, run)
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
	fmt.Fprintf(&text, "%-22s %8s %8s %8s %20s %20s   ms\n", fmt.Sprintf("%d per second, outbox", targetRate), "p50", "p99", "max", "p50 of each turn", "p99 of each turn")
	quartiles := func(q [3]float64) string { return fmt.Sprintf("%.2f, %.2f, %.2f", q[0], q[1], q[2]) }
	for i, t := range []turns{o.Off, o.On} {
		name := fmt.Sprintf("%s, %d turns of %v", map[bool]string{false: "off", true: "on"}[i == 1], len(o.Turns)/2, outboxTurn)
		fmt.Fprintf(&text, "%-22s %8.2f %8.2f %8.2f %20s %20s\n", name, t.P50, t.P99, t.Max, quartiles(t.P50s), quartiles(t.P99s))
	}
	fmt.Fprintf(&text, "\nCPU µs per order, off: %s\non: %s\nCPU µs per published event, on minus off: %s\n", cpuText(o.Off.CPU), cpuText(o.On.CPU), cpuText(o.CPU))
	fmt.Fprintf(&text, "backlog of %s: %.0f events per second; CPU µs per event: %s\n", o.Backlog.Name, o.Backlog.Rate, cpuText(o.Backlog.CPU))
	return text.String() + outboxLegend
}

const outboxLegend = `
latency    from the moment each event was due until the COMMIT that assigned its order, as in the table; every
           order has two transitions. One service runs. In the turns without the outbox this program holds its
           lock: the service publishes nothing, and asks for the lock five times a second. "of each turn": the
           quartiles
backlog    the whole journal is published while no order event arrives: from the moment the position is set back
           until the last event is acknowledged and the position stored
`
