package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// createdLoad is a backlog of one created event an order: waiting, then assigned.
func (s *stack) createdLoad(name string, r orderRange) load {
	return load{
		name: name, events: r.len(), journal: 2 * r.len(),
		before: func(ctx context.Context) error { return s.publish(ctx, events(r, statusCreated, 1)) },
	}
}

// completedLoad is a backlog of one completed event of each order that is assigned.
func (s *stack) completedLoad(name string, r orderRange) load {
	return load{
		name: name, events: r.len(), journal: r.len(),
		before: func(ctx context.Context) error {
			s.neighbour.complete(r)
			return s.publish(ctx, events(r, statusCompleted, 1))
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
		var records []*kgo.Record
		records = append(records, events(begin, statusCreated, mixedCopies)...)
		records = append(records, events(end, statusCompleted, mixedCopies)...)
		if err := s.publish(ctx, shuffled(records)); err != nil {
			return err
		}
	}
	return nil
}

// awaitCouriers waits until each of the orders has its courier. It looks again only
// at those that had none, so that looking costs PostgreSQL next to nothing.
func (s *stack) awaitCouriers(ctx context.Context, r orderRange) error {
	ids := make([]string, 0, r.len())
	for i := r.from; i < r.to; i++ {
		ids = append(ids, orderID(i))
	}
	for {
		err := s.pool.QueryRow(ctx, `select array(select id from unnest($1::text[]) as id
			where not exists (select from courier_orders where order_id = id))`, ids).Scan(&ids)
		if err != nil {
			return fmt.Errorf("ask for the orders without a courier: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d orders have no courier: %w", len(ids), r.len(), context.Cause(ctx))
		}
	}
}
