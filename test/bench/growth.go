package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/dev/devpostgres"
)

const (
	growthCouriers = 200_000
	growthTurns    = 3
	growthDays     = 30        // over which the finished orders are spread
	growthChunk    = 1_000_000 // finished orders that one statement inserts
)

// growthSettings are those of an ordinary PostgreSQL: all else is as initdb leaves it.
var growthSettings = map[string]string{"shared_buffers": "512MB"}

// growthReport compares the loads on a database with finished orders with those on an empty one.
type growthReport struct {
	options
	Settings map[string]string `json:"settings"`
	Couriers int               `json:"couriers"`
	Fill     string            `json:"fill"`
	Sizes    []relationSize    `json:"sizes"`
	Turns    []growthTurn      `json:"turns"`
}

type relationSize struct {
	Name string `json:"name"`
	MB   int    `json:"mb"`
}

// growthTurn is one load on one of the databases.
type growthTurn struct {
	result
	Finished   bool         `json:"finished"` // the database with finished orders
	Load       string       `json:"load"`
	Pages      pageCounters `json:"pages_per_order"`
	Checkpoint bool         `json:"checkpoint"` // one ended during the load
}

// pageCounters counts pages.
type pageCounters struct {
	FullImages float64 `json:"full_images"` // written to the WAL
	Reads      float64 `json:"reads"`       // into the buffers
}

func (p pageCounters) plus(q pageCounters, factor float64) pageCounters {
	return pageCounters{p.FullImages + factor*q.FullImages, p.Reads + factor*q.Reads}
}

// server is one of the two databases.
type server struct {
	postgres *devpostgres.Server
	pool     *pgxpool.Pool
	orders   int // completed by the loads
}

// measureGrowth runs created and completed events in turns on an empty database and on one
// with finished orders, each with a server of its own.
func measureGrowth(ctx context.Context, o options, bar *progress) (printer, error) {
	report := &growthReport{options: o, Settings: growthSettings, Couriers: growthCouriers}
	warmUp := o.Orders / 6
	c := capacity{orders: 2 * (warmUp + growthTurns*o.Orders), couriers: growthCouriers, partitions: o.Partitions, settings: growthSettings}
	err := withStack(ctx, c, bar, func(s *stack) error {
		empty := &server{postgres: s.postgres, pool: s.pool}
		if err := s.startPostgres(ctx, c); err != nil {
			return err
		}
		full := &server{postgres: s.postgres, pool: s.pool}
		if err := report.fill(ctx, full.pool, bar); err != nil {
			return err
		}
		var ids allocator
		for turn := range 1 + growthTurns {
			for _, on := range []*server{empty, full} {
				n := o.Orders
				if turn == 0 {
					n = warmUp
				}
				r := ids.next(n)
				s.postgres, s.pool = on.postgres, on.pool
				turns, err := measureGrowthTurn(ctx, s, r, on == full, bar)
				if err != nil {
					return err
				}
				if on.orders += r.len(); turn > 0 {
					report.Turns = append(report.Turns, turns...)
				}
			}
		}
		bar.step("verifying")
		s.postgres, s.pool = empty.postgres, empty.pool
		if err := s.verify(ctx, empty.orders, 0); err != nil {
			return err
		}
		s.postgres, s.pool = full.postgres, full.pool
		return s.verify(ctx, o.Finished+full.orders, 0)
	})
	return report, err
}

// measureGrowthTurn creates and completes orders after a checkpoint. With the defaults and
// finished orders, PostgreSQL itself begins one after about as much WAL as a turn writes.
func measureGrowthTurn(ctx context.Context, s *stack, r orderRange, finished bool, bar *progress) (turns []growthTurn, err error) {
	if err := s.checkpoint(ctx); err != nil {
		return nil, err
	}
	name := map[bool]string{false: "empty", true: "with finished orders"}[finished]
	for _, l := range []load{s.createdLoad("created, "+name, r), s.completedLoad("completed, "+name, r)} {
		turn := growthTurn{Finished: finished, Load: strings.Split(l.name, ",")[0]}
		before, ended, err := s.pages(ctx)
		if err != nil {
			return nil, err
		}
		if turn.result, err = l.run(ctx, s, bar); err != nil {
			return nil, err
		}
		turn.Name = l.name
		after, endedAfter, err := s.pages(ctx) // the service has stopped, so that its sessions have reported
		if err != nil {
			return nil, err
		}
		turn.Checkpoint = ended != endedAfter
		turn.Pages = pageCounters{}.plus(after, 1/float64(r.len())).plus(before, -1/float64(r.len()))
		turns = append(turns, turn)
	}
	return turns, nil
}

// pages reads the server's counters, and where the last checkpoint that has ended began.
func (s *stack) pages(ctx context.Context) (p pageCounters, checkpoint string, err error) {
	err = s.pool.QueryRow(ctx, `
		select (select wal_fpi from pg_stat_wal), (select sum(blks_read) from pg_stat_database),
			(select redo_lsn::text from pg_control_checkpoint())`).Scan(&p.FullImages, &p.Reads, &checkpoint)
	if err != nil {
		return p, "", fmt.Errorf("read the counters of pages: %w", err)
	}
	return p, checkpoint, nil
}

// fill inserts the finished orders by age, with the couriers at random, as years of work
// leave them: the journal, the statistics and the counters as the service would have
// written them.
func (g *growthReport) fill(ctx context.Context, pool *pgxpool.Pool, bar *progress) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	start := time.Now()
	run := func(name, sql string, args ...any) error {
		bar.step("filling: " + name)
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			return fmt.Errorf("fill %s: %w", name, err)
		}
		return nil
	}
	if err := run("settings", `set statement_timeout = 0`); err != nil {
		return err
	}
	// Indexes are made at the end, which takes a fraction of the time. Those of random ids get
	// pages as full as insertions at random places leave them.
	if err := run("no indexes", `update pg_index set indisready = false, indisvalid = false where indrelid in ('orders'::regclass, 'courier_orders'::regclass, 'journal'::regclass)`); err != nil {
		return err
	}
	for from := 0; from < g.Finished; from += growthChunk {
		to := min(from+growthChunk, g.Finished)
		progress := fmt.Sprintf(" of %d finished orders", to)
		err := run("chunk", `create temporary table chunk as
			select md5('finished' || i)::uuid::text as order_id, 1 + (hashint8(i) & 2147483647) % $3::int as courier_id,
				now() - make_interval(days => $4::int) * (1 - i::float8 / $5::int) - interval '1 h' as at
			from generate_series($1::int + 1, $2::int) i`, from, to, growthCouriers, growthDays, g.Finished)
		if err != nil {
			return err
		}
		for _, step := range []struct{ name, sql string }{
			{"orders", `insert into orders (order_id, state, queue_position, created_at, updated_at)
				select order_id, 'completed', nextval('queue_positions'), at, at + interval '30 min' from chunk order by at`},
			{"deliveries", `insert into courier_orders (order_id, courier_id, waiting_since, assigned_at, deadline, completed_at)
				select order_id, courier_id, at, at, at + interval '1 h', at + interval '30 min' from chunk order by at`},
			// A call counts 100,000 deliveries.
			{"statistics", `select count_deliveries() from generate_series(1, 1 + (select count(*) from chunk) / 100000)`},
			{"journal", `insert into journal (at, order_id, order_number, was, state, courier_id, source, reason)
				select h.at + j.after, order_id, o.number, j.was, j.state, case when j.state <> 'waiting' then courier_id end, j.source, j.reason
				from chunk h join orders o using (order_id), (values ('0'::interval, null::order_state, 'waiting'::order_state, '3@1234567', 'service-order reports created'),
					('0', 'waiting', 'assigned', 'match', ''), ('30 min', 'assigned', 'completed', '3@1234567', 'service-order reports completed')
				) j (after, was, state, source, reason) order by h.at, j.after, j.state`},
			{"chunk", `drop table chunk`},
		} {
			if err := run(step.name+progress, step.sql); err != nil {
				return err
			}
		}
	}
	for _, step := range []struct{ name, sql string }{
		{"indexes of ids", `alter index orders_pkey set (fillfactor = 69); alter index courier_orders_pkey set (fillfactor = 69)`},
		{"indexes of orders", `reindex table orders`},
		{"indexes of deliveries", `reindex table courier_orders`},
		{"indexes of the journal", `reindex table journal`},
		{"indexes of ids", `alter index orders_pkey reset (fillfactor); alter index courier_orders_pkey reset (fillfactor)`},
		{"counters", `update couriers c set deliveries = n from
			(select courier_id, count(*) as n from courier_orders group by 1) d where d.courier_id = c.id`},
		{"vacuum", `vacuum (freeze, analyze)`}, // else autovacuum would run during the loads
	} {
		if err := run(step.name, step.sql); err != nil {
			return err
		}
	}
	g.Fill = time.Since(start).Round(time.Second).String()
	err = conn.QueryRow(ctx, `select json_agg(json_build_object('name', relname, 'mb', size / 1000000) order by size desc)
		from (select relname, pg_relation_size(oid) as size from pg_class where relnamespace = 'public'::regnamespace) c
		where size > 10000000`).Scan(&g.Sizes)
	return err
}

// mean adds up the turns of one load on one of the databases.
func (g *growthReport) mean(load string, finished bool) (mean growthTurn) {
	mean.CPU = make(map[string]float64)
	for _, t := range g.Turns {
		if t.Load == load && t.Finished == finished {
			mean.Seconds += t.Seconds / growthTurns
			mean.CPU["postgresql"] += t.CPU["postgresql"] / growthTurns
			mean.CPU["service-courier"] += t.CPU["service-courier"] / growthTurns
			mean.WAL += t.WAL / growthTurns
			mean.Pages = mean.Pages.plus(t.Pages, 1.0/growthTurns)
		}
	}
	mean.Rate = float64(g.Orders) / mean.Seconds
	return mean
}

func (g *growthReport) print() string {
	var text strings.Builder
	fmt.Fprintf(&text, "PostgreSQL: %v, all else as initdb leaves it; %d couriers; filled with %d finished orders in %s\n", g.Settings, g.Couriers, g.Finished, g.Fill)
	for i, size := range g.Sizes {
		fmt.Fprintf(&text, "%s%s %d MB", map[bool]string{true: "tables and indexes: ", false: ", "}[i == 0], size.Name, size.MB)
	}
	const heading = "\n\n%-32s %11s %6s %14s %7s %7s %7s   %s\n"
	fmt.Fprintf(&text, heading, "", "per second", "ratio", "PostgreSQL µs", "WAL B", "images", "reads", "checkpoint")
	line := func(name string, t growthTurn, ratio, last string) {
		fmt.Fprintf(&text, "%-32s %11.0f %6s %14.0f %7.0f %7.2f %7.2f   %s\n",
			name, t.Rate, ratio, t.CPU["postgresql"], t.WAL, t.Pages.FullImages, t.Pages.Reads, last)
	}
	for _, t := range g.Turns {
		line(t.Name, t, "", map[bool]string{true: "yes", false: "no"}[t.Checkpoint])
	}
	var both [2]float64
	for _, load := range []string{"created", "completed"} {
		empty, full := g.mean(load, false), g.mean(load, true)
		line(load+", all turns, empty", empty, "", "")
		line(load+", all turns, finished orders", full, fmt.Sprintf("%.2f", full.Rate/empty.Rate), "")
		both[0], both[1] = both[0]+empty.Seconds, both[1]+full.Seconds
	}
	fmt.Fprintf(&text, "%-32s %11s %6.2f\n", "both together", "", both[0]/both[1])
	return text.String() + fmt.Sprintf(growthLegend, runtime.NumCPU())
}

const growthLegend = `
Everything runs on one machine with %d cores. Per order; the loads are those of the table (created, completed), in turns
on both databases, each turn after a checkpoint. A smaller load before them is not reported.
images     full pages in the WAL: the first change of a page after a checkpoint writes all of it
reads      pages that were not in shared_buffers
checkpoint one ended during the load
verified   counts of orders, couriers, deliveries and journal, and all invariants, of both databases
`
