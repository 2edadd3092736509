package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// loadTimeout bounds a load: a service that needs longer is broken.
const loadTimeout = 10 * time.Minute

// load is one measured run of the service over events.
type load struct {
	name     string
	events   int // that the service reads
	changes  int // of orders; 0: as many as events
	journal  int // rows that result
	replicas int // 0: one
	// before runs while no replica runs, drive once all have their partitions. Either may be nil.
	before, drive func(ctx context.Context) error
}

// createdLoad has one created event per order, published before the service starts.
func (s *stack) createdLoad(name string, r orderRange) load {
	return load{
		name: name, events: r.len(), journal: 2 * r.len(),
		before: func(ctx context.Context) error { return s.publish(ctx, events(r, statusCreated, 1)) },
	}
}

// completedLoad has one completed event per assigned order, published before the service starts.
func (s *stack) completedLoad(name string, r orderRange) load {
	return load{
		name: name, events: r.len(), journal: r.len(),
		before: func(ctx context.Context) error {
			s.orders.complete(r)
			return s.publish(ctx, events(r, statusCompleted, 1))
		},
	}
}

const (
	mixedStep   = 1000 // orders created, and as many completed, at a time
	mixedAhead  = 3    // steps in progress at most
	mixedCopies = 3    // events per change
)

// mixedLoad creates orders while it completes earlier ones, each change with three
// events, shuffled over the partitions.
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
		created, completed := step(i), step(i-mixedAhead)
		if err := s.awaitAssigned(ctx, completed); err != nil {
			return err
		}
		s.orders.complete(completed)
		var records []*kgo.Record
		records = append(records, events(created, statusCreated, mixedCopies)...)
		records = append(records, events(completed, statusCompleted, mixedCopies)...)
		if err := s.publish(ctx, shuffled(records, max(len(records), 1))); err != nil {
			return err
		}
	}
	return nil
}

// awaitAssigned waits until every order is assigned. Each poll reads only the orders
// that were not, so that polling costs PostgreSQL next to nothing.
func (s *stack) awaitAssigned(ctx context.Context, r orderRange) error {
	for ids := r.ids(); ; {
		err := s.pool.QueryRow(ctx, `select array(select id from unnest($1::text[]) as id
			where not exists (select from courier_orders where order_id = id))`, ids).Scan(&ids)
		if err != nil {
			return fmt.Errorf("read the orders without a courier: %w", err)
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

// run starts the service and waits until the database has the results of all events.
// The clock starts when the service has its partitions.
func (l load) run(ctx context.Context, s *stack, bar *progress) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	bar.step("events of " + l.name)
	if l.before != nil {
		if err := l.before(ctx); err != nil {
			return r, err
		}
	}
	from, err := s.position(ctx)
	if err != nil {
		return r, err
	}
	gets, started, cpu := s.orders.gets.Load(), time.Now(), cpuByProgram()
	services, err := s.serve(ctx, l.name, max(l.replicas, 1))
	defer func() {
		for _, service := range services {
			err = errors.Join(err, service.Stop(10*time.Second))
		}
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", l.name, err, services.tail())
		}
	}()
	if err != nil {
		return r, err
	}
	start, err := services.joined(ctx)
	if err != nil {
		return r, err
	}
	listening, err := services[0].find("listening")
	if err != nil {
		return r, err
	}
	if s.addr = listening.Addr; s.viewers > 0 {
		stop, startErr := s.startViewers(ctx)
		if startErr != nil {
			return r, startErr
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	if l.drive != nil {
		start = time.Now()
		if err := l.drive(ctx); err != nil {
			return r, err
		}
	}
	if err := l.awaitJournal(ctx, s, services, from, bar); err != nil {
		return r, err
	}
	seconds := time.Since(start).Seconds()
	to, err := s.position(ctx)
	if err != nil {
		return r, err
	}
	changes := l.changes
	if changes == 0 {
		changes = l.events
	}
	perChange := func(n float64) float64 { return n / float64(changes) }
	fetched := float64(s.orders.gets.Load() - gets)
	r = result{
		Seconds: seconds, Start: start.Sub(started).Seconds(), Rate: float64(changes) / seconds, Events: float64(l.events) / seconds,
		GETs: fetched / float64(l.events), GETsPerChange: perChange(fetched), CPU: perEvent(cpu, cpuByProgram(), changes),
		WAL: perChange(to.wal - from.wal), Commits: perChange(to.commits - from.commits),
	}
	if commits := to.commits - from.commits; commits > 0 {
		r.RolledBack = (to.rollbacks - from.rollbacks) / commits
	}
	return r, services.measure(ctx, &r, changes)
}

// awaitJournal polls until the journal has all rows that it did not have at from.
// Reading its sequence is cheap, but the sequence runs ahead of the COMMITs and
// counts rolled-back rows; so it only says when to start counting.
func (l load) awaitJournal(ctx context.Context, s *stack, services services, from position, bar *progress) error {
	for {
		at, err := s.position(ctx)
		if err != nil {
			return err
		}
		done, pause := at.rows-from.rows, 5*time.Millisecond
		if done >= l.journal {
			pause = 50 * time.Millisecond
			err := s.pool.QueryRow(ctx, "select count(*) from journal where id > $1", from.rows).Scan(&done)
			if err != nil {
				return fmt.Errorf("count the journal: %w", err)
			}
			if done >= l.journal {
				return nil
			}
		}
		bar.at(l.name, done, l.journal)
		if err := services.ended(); err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("the journal has %d of %d rows: %w", done, l.journal, context.Cause(ctx))
		}
	}
}

// position is a snapshot of the database's counters.
type position struct {
	rows               int // of the journal, including some that are not committed yet
	wal                float64
	commits, rollbacks float64 // backends report theirs about once a second
}

func (s *stack) position(ctx context.Context) (p position, err error) {
	err = s.pool.QueryRow(ctx,
		`select case when is_called then last_value else 0 end,
			pg_current_wal_lsn() - '0/0', xact_commit, xact_rollback
		from journal_id_seq, pg_stat_database where datname = current_database()`,
	).Scan(&p.rows, &p.wal, &p.commits, &p.rollbacks)
	if err != nil {
		return p, fmt.Errorf("read the position of the database: %w", err)
	}
	return p, nil
}
