package main

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// createdLoad is a backlog of one created event an order: waiting, then assigned.
func (s *stack) createdLoad(name string, r orderRange) load {
	return load{
		name: name, events: r.len(), journal: 2 * r.len(),
		before: func(context.Context) error { return publish(s.kafka.Addr(), events(r, statusCreated, 1)) },
	}
}

// completedLoad is a backlog of one completed event of each order that is assigned.
func (s *stack) completedLoad(name string, r orderRange) load {
	return load{
		name: name, events: r.len(), journal: r.len(),
		before: func(context.Context) error {
			s.neighbour.complete(r)
			return publish(s.kafka.Addr(), events(r, statusCompleted, 1))
		},
	}
}

const (
	mixedStep   = 1000 // orders that begin, and as many that end, at a time
	mixedAhead  = 3    // steps that may be under way
	mixedCopies = 3    // events of each change
)

// mixedLoad takes orders through their lives: while some are created others are
// completed, each change told by three events, shuffled over the partitions. An
// order is completed when it surely has its courier: some steps after it began.
func (s *stack) mixedLoad(r orderRange) load {
	changes := 2 * r.len()
	return load{
		name: "mixed", events: mixedCopies * changes, changes: changes, journal: 3 * r.len(),
		drive: func(ctx context.Context) error { return s.driveMixed(ctx, r) },
	}
}

func (s *stack) driveMixed(ctx context.Context, r orderRange) error {
	step := func(i int) orderRange {
		first := r.from + i*mixedStep
		return orderRange{min(max(first, r.from), r.to), min(max(first+mixedStep, r.from), r.to)}
	}
	steps := (r.len() + mixedStep - 1) / mixedStep
	for i := range steps + mixedAhead {
		begin, end := step(i), step(i-mixedAhead)
		if err := s.awaitCouriers(ctx, end); err != nil {
			return err
		}
		s.neighbour.complete(end)
		var messages []*sarama.ProducerMessage
		messages = append(messages, events(begin, statusCreated, mixedCopies)...)
		messages = append(messages, events(end, statusCompleted, mixedCopies)...)
		if err := publish(s.kafka.Addr(), shuffled(messages)); err != nil {
			return err
		}
	}
	return nil
}

// awaitCouriers waits until each of the orders has its courier.
func (s *stack) awaitCouriers(ctx context.Context, r orderRange) error {
	ids := make([]string, 0, r.len())
	for i := r.from; i < r.to; i++ {
		ids = append(ids, orderID(i))
	}
	for {
		var assigned int
		if err := s.pool.QueryRow(ctx, "select count(*) from courier_orders where order_id = any ($1::text[])", ids).Scan(&assigned); err != nil {
			return fmt.Errorf("count the assigned: %w", err)
		}
		if assigned == r.len() {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d orders have a courier: %w", assigned, r.len(), context.Cause(ctx))
		}
	}
}
