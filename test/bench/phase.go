package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"service-courier/test/e2e/program"
)

// phase is one measured run of the service over a backlog of one event an order.
type phase struct {
	name    string // the status that the events and the neighbour tell
	entries int    // journal rows that each of them makes
	done    string // counts the orders that have got there
}

var (
	created   = phase{"created", 2, `select count(*) from courier_orders where completed_at is null`}
	completed = phase{"completed", 1, `select count(*) from courier_orders where completed_at is not null`}
)

// limit bounds a phase: a slower service is broken.
const limit = 10 * time.Minute

// run preloads the events, starts the service and waits until the database has
// every order where it belongs.
func (f phase) run(ctx context.Context, s *stack, orders int, bar *progress) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	bar.step("preload " + f.name)
	if err := preload(s.kafka.Addr(), topic, f.name, orders); err != nil {
		return r, err
	}
	s.neighbour.become(f.name)
	asked, cpu, began := s.neighbour.asked.Load(), cpuByProgram(), time.Now()
	service, log, err := s.serve(ctx, f.name)
	if err != nil {
		return r, err
	}
	defer func() {
		err = errors.Join(err, service.Stop(10*time.Second))
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", f.name, err, tail(log))
		}
	}()
	if err := f.wait(ctx, s, service, orders, bar); err != nil {
		return r, err
	}
	ended := time.Now()
	joined, err := joinedAt(log)
	if err != nil {
		return r, err
	}
	r = result{
		Seconds: ended.Sub(joined).Seconds(), Start: joined.Sub(began).Seconds(),
		Rate: float64(orders) / ended.Sub(joined).Seconds(),
		GETs: float64(s.neighbour.asked.Load()-asked) / float64(orders),
	}
	r.CPU = perEvent(cpu, cpuByProgram(), orders)
	return r, nil
}

// wait polls until all orders are done. Counting them costs PostgreSQL more the
// more there are, so as long as the journal's sequence says that rows are still
// to come it is asked instead; what ends the measurement is the count.
func (f phase) wait(ctx context.Context, s *stack, service *program.Process, orders int, bar *progress) error {
	journal := func() (n int) {
		_ = s.pool.QueryRow(ctx, "select last_value from journal_id_seq").Scan(&n) // the count tells of errors
		return n
	}
	before := 0
	if f != created {
		before = journal()
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		done := (journal() - before) / f.entries
		if done >= orders {
			var exactly int
			if err := s.pool.QueryRow(ctx, f.done).Scan(&exactly); err != nil {
				return fmt.Errorf("count: %w", err)
			}
			if exactly == orders {
				return nil
			}
		}
		bar.at(f.name, done, orders)
		select {
		case <-poll.C:
		case <-service.Done():
			return fmt.Errorf("the service ended with exit code %d", service.ExitCode())
		case <-ctx.Done():
			return fmt.Errorf("about %d of %d orders are done: %w", done, orders, context.Cause(ctx))
		}
	}
}

// joinedAt is when the service was given its partitions, as its log says:
// nothing is consumed before.
func joinedAt(log string) (time.Time, error) {
	content, err := os.ReadFile(log)
	if err != nil {
		return time.Time{}, err
	}
	for l := range bytes.Lines(content) {
		var line struct {
			Time time.Time
			Msg  string
		}
		if json.Unmarshal(l, &line) == nil && line.Msg == "joined the consumer group" {
			return line.Time, nil
		}
	}
	return time.Time{}, errors.New("the service's log does not say when it joined")
}

func tail(log string) string {
	content, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	return "the service printed:\n" + string(content[max(0, len(content)-4000):])
}
