package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"service-courier/test/e2e/program"
)

// limit bounds a measurement: a slower service is broken.
const limit = 10 * time.Minute

// load is one measured run of the service over events.
type load struct {
	name     string
	events   int // that it reads
	changes  int // of orders that they make; 0: as many as events
	journal  int // rows that come of it
	replicas int // 0: one
	// before is done while no replica runs, drive while they do, after all of them
	// have their partitions; either may be nil.
	before, drive func(ctx context.Context) error
}

// run starts the service, gives it the events, and waits until the database has
// all that comes of them. The clock runs from the moment when it has its
// partitions.
func (l load) run(ctx context.Context, s *stack, bar *progress) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	bar.step("events of " + l.name)
	if l.before != nil {
		if err := l.before(ctx); err != nil {
			return r, err
		}
	}
	from, err := s.progress(ctx)
	if err != nil {
		return r, err
	}
	asked, began := s.neighbour.asked.Load(), time.Now()
	cpu, committed, rolledBack := cpuByProgram(), s.transactions(ctx, "commit"), s.transactions(ctx, "rollback")
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
	joined, err := services.joined(ctx)
	if err != nil {
		return r, err
	}
	if l.drive != nil {
		joined = time.Now()
		if err := l.drive(ctx); err != nil {
			return r, err
		}
	}
	if err := l.wait(ctx, s, services, from, bar); err != nil {
		return r, err
	}
	seconds := time.Since(joined).Seconds()
	until, err := s.progress(ctx)
	if err != nil {
		return r, err
	}
	changes := l.changes
	if changes == 0 {
		changes = l.events
	}
	gets := float64(s.neighbour.asked.Load() - asked)
	r = result{
		Seconds: seconds, Start: joined.Sub(began).Seconds(), Rate: float64(changes) / seconds, Events: float64(l.events) / seconds,
		GETs: gets / float64(l.events), GETsPerChange: gets / float64(changes),
		CPU: perEvent(cpu, cpuByProgram(), changes), WAL: (until.wal - from.wal) / float64(changes),
		Commits: float64(s.transactions(ctx, "commit")-committed) / float64(changes),
	}
	if commits := s.transactions(ctx, "commit") - committed; commits > 0 {
		r.RolledBack = float64(s.transactions(ctx, "rollback")-rolledBack) / float64(commits)
	}
	return r, services.measure(ctx, &r, changes)
}

// wait waits for all rows of the journal, and shows how far it is.
func (l load) wait(ctx context.Context, s *stack, services services, from position, bar *progress) error {
	return s.awaitRows(ctx, from, l.journal, func(rows int) error {
		bar.at(l.name, rows, l.journal)
		return services.dead()
	})
}

// awaitRows polls until the journal has so many rows that it had not at from. Its
// sequence costs PostgreSQL next to nothing to read but runs ahead of the
// COMMITs, and over what was rolled back; so it says when to count.
func (s *stack) awaitRows(ctx context.Context, from position, rows int, each func(rows int) error) error {
	for {
		at, err := s.progress(ctx)
		if err != nil {
			return err
		}
		done, pause := at.rows-from.rows, 5*time.Millisecond
		if done >= rows {
			pause = 50 * time.Millisecond
			err := s.pool.QueryRow(ctx, "select count(*) from journal where (xid, id) > ($1::xid8, $2) and id > $2", from.xid, from.rows).Scan(&done)
			if err != nil {
				return fmt.Errorf("count the journal: %w", err)
			}
			if done >= rows {
				return nil
			}
		}
		if err := each(done); err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d journal rows are there: %w", done, rows, context.Cause(ctx))
		}
	}
}

// position is how far the database has come.
type position struct {
	rows int     // of the journal, some of them perhaps not committed yet
	xid  string  // of the oldest transaction that runs
	wal  float64 // bytes
}

// progress asks where the database is.
func (s *stack) progress(ctx context.Context) (p position, err error) {
	err = s.pool.QueryRow(ctx,
		`select case when is_called then last_value else 0 end, pg_snapshot_xmin(pg_current_snapshot())::text, pg_current_wal_lsn() - '0/0'
		from journal_id_seq`).Scan(&p.rows, &p.xid, &p.wal)
	if err != nil {
		return p, fmt.Errorf("ask for the progress: %w", err)
	}
	return p, nil
}

// transactions counts those of the database; backends report theirs about once a second.
func (s *stack) transactions(ctx context.Context, how string) (n int64) {
	_ = s.pool.QueryRow(ctx, "select xact_"+how+" from pg_stat_database where datname = current_database()").Scan(&n) // a number to look at
	return n
}

// services are the replicas at work.
type services []service

type service struct {
	*program.Process
	log string // its file
}

// joined waits until each replica was given partitions and returns when the last was.
func (all services) joined(ctx context.Context) (last time.Time, err error) {
	for _, s := range all {
		var line logLine
		for line.Msg == "" {
			if line, err = s.find("joined the consumer group"); err != nil {
				return last, err
			}
			select {
			case <-ctx.Done():
				return last, fmt.Errorf("not joined: %w", context.Cause(ctx))
			case <-s.Done():
				return last, fmt.Errorf("it ended with exit code %d", s.ExitCode())
			case <-time.After(10 * time.Millisecond):
			}
		}
		if line.Time.After(last) {
			last = line.Time
		}
	}
	return last, nil
}

type logLine struct {
	Time time.Time
	Msg  string
	Addr string
}

// find returns the first line of the log with that message; none is no error.
func (s service) find(msg string) (logLine, error) {
	content, err := os.ReadFile(s.log)
	for l := range bytes.Lines(content) {
		var line logLine
		if json.Unmarshal(l, &line) == nil && line.Msg == msg {
			return line, nil
		}
	}
	return logLine{}, err
}

func (all services) dead() error {
	for _, s := range all {
		if !s.Running() {
			return fmt.Errorf("a replica ended with exit code %d", s.ExitCode())
		}
	}
	return nil
}

func (all services) tail() string {
	var out strings.Builder
	for _, s := range all {
		content, _ := os.ReadFile(s.log) // what there is
		fmt.Fprintf(&out, "a replica printed:\n%s\n", content[max(0, len(content)-4000):])
	}
	return out.String()
}

// measure adds what the replicas took of memory: the highest peak, and all allocations.
func (all services) measure(ctx context.Context, r *result, changes int) error {
	for _, s := range all {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
		if err != nil {
			return nil //nolint:nilerr // no /proc here: not measured
		}
		for l := range strings.Lines(string(status)) {
			if kb, ok := strings.CutPrefix(l, "VmHWM:"); ok {
				n, _ := strconv.ParseFloat(strings.Fields(kb)[0], 64)
				r.PeakMB = max(r.PeakMB, n/1024)
			}
		}
		listening, err := s.find("listening")
		if err != nil {
			return err
		}
		mallocs, err := metric(ctx, listening.Addr, "go_memstats_mallocs_total")
		if err != nil {
			return err
		}
		r.Allocations += mallocs / float64(changes)
	}
	return nil
}
