package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"service-courier/internal/storage/postgres"
)

// What is enough for a run of any length: nothing of it may grow with time.
const (
	maxMemory     = 80 << 20  // bytes that any replica holds of the system at any moment
	maxHeap       = 32 << 20  // bytes at which the oldest replica collects garbage in a calm: twice what is in use
	maxGoroutines = 800       // of the oldest replica in a calm: two for each of 256 connections to service-order
	maxCouriers   = 1 << 20   // bytes of the table, whose few rows change all the time
	maxOpen       = 512 << 10 // bytes of the indexes of what is free or open
	maxOrder      = 512       // bytes of table an order, and maxAhead for all
	maxDead       = 200       // dead rows of a table that a vacuum leaves in a calm: those of the moment

	// maxAhead is what a table may have before it needs it: backends that want a new
	// page at once make up to 64 each, for all that wait (RelationAddBlocks in
	// PostgreSQL's hio.c). Forty made 4 MiB of an empty table for 400 rows, four
	// mostly 500 KiB.
	maxAhead = 4 << 20 // bytes
)

// peaks are the largest that was seen.
type peaks struct{ memory, heap, goroutines, couriers, orders, open, dead int }

// watching looks, every second or some until stop, at what must hold while everything
// is broken.
func (c *chaos) watching() (stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			c.replicasLive(ctx)
			c.tablesAreBounded(ctx)
			c.nobodyIsDoubleBooked(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(min(5*time.Second, max(time.Second, 4*time.Since(began)))): // thrifty as the tables grow
			}
		}
	})
	return func() {
		cancel()
		watch.Wait()
		c.tell("at most: %d KiB of memory, garbage collected at %d KiB, %d goroutines; couriers %d KiB, orders %d KiB, indexes of what is open %d KiB; %d dead rows left by a vacuum",
			c.peaks.memory>>10, c.peaks.heap>>10, c.peaks.goroutines, c.peaks.couriers>>10, c.peaks.orders>>10, c.peaks.open>>10, c.peaks.dead)
	}
}

// replicasLive fails when a replica has ended by itself or takes much memory.
func (c *chaos) replicasLive(ctx context.Context) {
	for r, addr := range c.fleet.all() {
		if !r.Running() && c.fleet.has(r) {
			c.Errorf("replica %d ended by itself with exit code %d", r.Pid(), r.ExitCode())
		}
		metrics, err := scrape(ctx, addr, "go_memstats_sys_bytes", "go_memstats_heap_released_bytes")
		if err != nil {
			continue // stopped by a signal, or ended just now
		}
		memory := metrics[0] - metrics[1]
		c.peaks.memory = max(c.peaks.memory, memory)
		if memory > maxMemory {
			c.Errorf("replica %d holds %d MiB of memory", r.Pid(), memory>>20)
		}
	}
}

// scrape asks a replica for some of its metrics.
func scrape(ctx context.Context, addr string, names ...string) (values []int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		_, line, _ := strings.Cut(string(text), "\n"+name+" ")
		line, _, _ = strings.Cut(line, "\n")
		value, err := strconv.ParseFloat(line, 64)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
		values = append(values, int(value))
	}
	return values, nil
}

// tablesAreBounded fails when dead rows make a table or an index grow. The lists of
// what has ended grow with every order.
func (c *chaos) tablesAreBounded(ctx context.Context) {
	var couriers, orders, rows, open int
	err := c.pool.QueryRow(ctx, `SELECT pg_relation_size('couriers'), pg_relation_size('orders'), (SELECT count(*) FROM orders),
		(SELECT sum(pg_relation_size(indexrelid)) FROM pg_index WHERE indpred IS NOT NULL
			AND indexrelid NOT IN ('orders_completed'::regclass, 'orders_cancelled'::regclass)
			AND indrelid IN ('couriers'::regclass, 'orders'::regclass, 'courier_orders'::regclass))`).Scan(&couriers, &orders, &rows, &open)
	if err != nil {
		return // PostgreSQL may be what is broken
	}
	c.peaks.couriers, c.peaks.orders, c.peaks.open = max(c.peaks.couriers, couriers), max(c.peaks.orders, orders), max(c.peaks.open, open)
	if couriers > maxCouriers || open > maxOpen || orders > maxAhead+rows*maxOrder {
		c.Errorf("%d couriers fill %d KiB, %d orders %d KiB, the indexes of what is open %d KiB", chaosCouriers, couriers>>10, rows, orders>>10, open>>10)
	}
}

// nobodyIsDoubleBooked fails on a broken promise that holds at any moment.
func (c *chaos) nobodyIsDoubleBooked(ctx context.Context) {
	violations, err := postgres.CheckInvariants(ctx, c.pool)
	if err != nil {
		return // PostgreSQL may be what is broken
	}
	for _, v := range violations {
		if !strings.HasPrefix(v.Promise, "order waits") { // which is for a service that runs
			c.Errorf("%s: %s", v.Promise, v.Who)
		}
	}
}

// flat fails when the replica that has lived longest has grown, or dead rows
// cannot be removed that nothing needs any more. A transaction that a replica has left
// open would keep them all.
func (c *chaos) flat() {
	c.Helper()
	metrics, err := scrape(c.Context(), c.fleet.all()[c.replicas[0]], "go_memstats_next_gc_bytes", "go_goroutines")
	c.must(err)
	heap, goroutines := metrics[0], metrics[1]
	c.peaks.heap, c.peaks.goroutines = max(c.peaks.heap, heap), max(c.peaks.goroutines, goroutines)
	if heap > maxHeap || goroutines > maxGoroutines {
		c.Errorf("the oldest replica has %d goroutines and collects garbage at %d MiB", goroutines, heap>>20)
	}
	for _, table := range []string{"couriers", "orders", "courier_orders"} {
		// What autovacuum would do after so many orders: here each crash makes
		// PostgreSQL forget how many dead rows there are.
		c.exec("VACUUM (ANALYZE) " + table)
		dead := c.count("SELECT pg_stat_get_dead_tuples($1::regclass)", table)
		c.peaks.dead = max(c.peaks.dead, dead)
		if dead > maxDead {
			c.Errorf("a vacuum of %s has to leave %d dead rows", table, dead)
		}
	}
	c.exec("CHECKPOINT") // without one a crash forgets which pages of an index are free
}
