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

// The bounds of a run of any length: nothing may grow with time.
const (
	maxMemory     = 80 << 20 // bytes of memory of any replica at any moment
	maxHeap       = 32 << 20 // bytes at which the oldest replica collects garbage in a calm: twice what is in use
	maxGoroutines = 800      // of the oldest replica in a calm: two per connection to service-order, of which there are 256
	maxCouriers   = 1 << 20  // bytes of the table, whose few rows change often
	maxOrder      = 512      // bytes of table per order, and maxAhead for all
	maxDead       = 200      // dead rows that a vacuum leaves in a table at the end of a calm

	// maxActive is the size, in bytes, of all indexes of available couriers and active
	// orders. A vacuum, one per round, deletes the empty pages of an index, and only a
	// later one reuses them; a storm with many rechecks fills 10 to 20 pages of orders_due.
	maxActive = 2 << 20

	// maxAhead is what a table may allocate in advance: backends that need a page at the
	// same time add up to 64 each (RelationAddBlocks in PostgreSQL's hio.c). Forty
	// backends made 4 MiB of an empty table for 400 rows, four mostly 500 KiB.
	maxAhead = 4 << 20 // bytes
)

// peaks are the largest values seen.
type peaks struct{ memory, heap, goroutines, couriers, orders, open, dead int }

// watching checks, every second or more until stop, what must hold even in a storm.
func (c *chaos) watching() (stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			c.replicasLive(ctx)
			c.tablesAreBounded(ctx)
			c.invariantsHoldAlways(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(min(5*time.Second, max(time.Second, 4*time.Since(began)))): // less often as the tables grow
			}
		}
	})
	return func() {
		cancel()
		watch.Wait()
		c.logf("at most: %d KiB of memory, garbage collected at %d KiB, %d goroutines; couriers %d KiB, orders %d KiB, indexes of active rows %d KiB; %d dead rows left by a vacuum",
			c.peaks.memory>>10, c.peaks.heap>>10, c.peaks.goroutines, c.peaks.couriers>>10, c.peaks.orders>>10, c.peaks.open>>10, c.peaks.dead)
	}
}

// replicasLive fails when a replica ended by itself or uses too much memory.
func (c *chaos) replicasLive(ctx context.Context) {
	for r, addr := range c.group.all() {
		if !r.Running() && c.group.has(r) {
			c.Errorf("replica %d ended by itself with exit code %d", r.Pid(), r.ExitCode())
		}
		metrics, err := scrape(ctx, addr, "go_memstats_sys_bytes", "go_memstats_heap_released_bytes")
		if err != nil {
			continue // stopped by a signal, or just ended
		}
		memory := metrics[0] - metrics[1]
		c.peaks.memory = max(c.peaks.memory, memory)
		if memory > maxMemory {
			c.Errorf("replica %d holds %d MiB of memory", r.Pid(), memory>>20)
		}
	}
}

// scrape reads metrics of a replica, which may take a while on a busy machine.
func (w *world) scrape(addr string, names ...string) (values []int) {
	w.Helper()
	w.eventually("the replica has metrics", func() (scraped bool) {
		var err error
		values, err = scrape(w.Context(), addr, names...)
		return err == nil
	})
	return values
}

// scrape reads metrics of a replica within a second.
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

// tablesAreBounded fails when dead rows make a table or an index grow. The indexes of
// ended orders grow with every order.
func (c *chaos) tablesAreBounded(ctx context.Context) {
	var couriers, orders, rows, open int
	err := c.pool.QueryRow(ctx, `SELECT pg_relation_size('couriers'), pg_relation_size('orders'), (SELECT count(*) FROM orders),
		(SELECT sum(pg_relation_size(indexrelid)) FROM pg_index WHERE indpred IS NOT NULL
			AND indexrelid NOT IN ('orders_completed'::regclass, 'orders_cancelled'::regclass)
			AND indrelid IN ('couriers'::regclass, 'orders'::regclass, 'courier_orders'::regclass))`).Scan(&couriers, &orders, &rows, &open)
	if err != nil {
		return // PostgreSQL may be down
	}
	grown := couriers > c.peaks.couriers || orders > c.peaks.orders || open > c.peaks.open
	c.peaks.couriers, c.peaks.orders, c.peaks.open = max(c.peaks.couriers, couriers), max(c.peaks.orders, orders), max(c.peaks.open, open)
	if grown && (couriers > maxCouriers || open > maxActive || orders > maxAhead+rows*maxOrder) {
		c.Errorf("%d couriers fill %d KiB, %d orders %d KiB, the indexes of active rows %d KiB", chaosCouriers, couriers>>10, rows, orders>>10, open>>10)
	}
}

// invariantsHoldAlways fails on a violated invariant that holds at any moment.
func (c *chaos) invariantsHoldAlways(ctx context.Context) {
	violations, err := postgres.CheckInvariants(ctx, c.pool)
	if err != nil {
		return // PostgreSQL may be down
	}
	for _, v := range violations {
		if !strings.HasPrefix(v.Invariant, "order waits") { // which holds only while a replica runs
			c.Errorf("%s: %s", v.Invariant, v.Subject)
		}
	}
}

// flat fails when the oldest replica has grown, or when dead rows cannot be removed: a
// transaction left open by a replica would keep them all.
func (c *chaos) flat() {
	c.Helper()
	metrics := c.scrape(c.group.all()[c.replicas[0]], "go_memstats_next_gc_bytes", "go_goroutines")
	heap, goroutines := metrics[0], metrics[1]
	c.peaks.heap, c.peaks.goroutines = max(c.peaks.heap, heap), max(c.peaks.goroutines, goroutines)
	if heap > maxHeap || goroutines > maxGoroutines {
		c.Errorf("the oldest replica has %d goroutines and collects garbage at %d MiB", goroutines, heap>>20)
	}
	for _, table := range []string{"couriers", "orders", "courier_orders"} {
		// As autovacuum would do after so many orders: here each crash resets
		// PostgreSQL's count of dead rows. A transaction whose COMMIT was lost on its way
		// keeps its rows until PostgreSQL ends it, after 15 s.
		var dead int
		c.eventually("a vacuum of "+table+" removes its dead rows", func() bool {
			c.exec("VACUUM (ANALYZE) " + table)
			dead = c.count("SELECT pg_stat_get_dead_tuples($1::regclass)", table)
			return dead <= maxDead
		})
		c.peaks.dead = max(c.peaks.dead, dead)
	}
	c.exec("CHECKPOINT") // without one a crash loses the list of free index pages
}
