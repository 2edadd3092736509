package postgres_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/statistics"
)

// TestStatisticsEqualARecount: after any history (concurrent batches, matching, manual
// corrections, deliveries of several days and without a waiting time) the statistics
// equal a recount of courier_orders in Go, however often they were counted meanwhile. It
// fails without the triggers on updates and deletions.
func TestStatisticsEqualARecount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	rapid.Check(t, func(r *rapid.T) {
		for _, table := range []string{"courier_orders", "orders", "couriers", "courier_statistics", "daily_statistics", "uncounted_deliveries"} { // cheaper than TRUNCATE
			f.exec("DELETE FROM " + table)
		}
		f.couriers(4)
		for range rapid.IntRange(1, 6).Draw(r, "rounds") {
			f.batchesAtOnce(r)
			f.match(10)
			f.correct(r)
			if rapid.Bool().Draw(r, "counted meanwhile") {
				f.count()
			}
		}
		f.expectNoViolations()
		f.statisticsAreRight()
	})
}

// batchesAtOnce moves random orders to random states, in four transactions.
func (f fixture) batchesAtOnce(r *rapid.T) {
	states := []courier.State{courier.StateWaiting, courier.StateCompleted, courier.StateCompleted, courier.StateCancelled, courier.StateHeld}
	var wg sync.WaitGroup
	wg.Go(f.count)
	for n := range 4 {
		ids := rapid.SliceOfNDistinct(rapid.IntRange(1, 12), 1, 8, rapid.ID[int]).Draw(r, fmt.Sprintf("orders of batch %d", n))
		state := rapid.SampledFrom(states).Draw(r, "state")
		steps := make([]orderevent.Order, len(ids))
		for i, id := range ids {
			steps[i] = to(courier.OrderID(fmt.Sprintf("o%d", id)), state)
		}
		wg.Go(func() {
			if _, err := f.trySave(f.Context(), steps...); err != nil {
				f.Error(err)
			}
		})
	}
	wg.Wait()
}

func (f fixture) count() {
	f.Helper()
	if err := postgres.NewStatistics(f.pool).Count(f.Context()); err != nil {
		f.Error(err)
	}
}

// correct changes the times of some deliveries, as an operator might.
func (f fixture) correct(r *rapid.T) {
	for range rapid.IntRange(0, 4).Draw(r, "corrections") {
		f.exec(`UPDATE courier_orders
			SET assigned_at   = assigned_at - make_interval(secs => $2),
			    deadline      = deadline - make_interval(secs => $2),
			    completed_at  = completed_at - make_interval(hours => $3),
			    waiting_since = CASE WHEN $4 THEN waiting_since - make_interval(secs => 7) END
			WHERE order_id = $1`,
			fmt.Sprintf("o%d", rapid.IntRange(1, 12).Draw(r, "order")),
			rapid.IntRange(0, 20000).Draw(r, "seconds"), rapid.IntRange(-60, 0).Draw(r, "hours"), rapid.Bool().Draw(r, "waiting known"))
	}
}

// figuresBy are a recount, by courier (0: all of them) and day.
type figuresBy map[int64]map[time.Time]statistics.Figures

// recount reads every completed delivery and counts in Go.
func (f fixture) recount() figuresBy {
	f.Helper()
	rows, _ := f.pool.Query(f.Context(), `SELECT courier_id, assigned_at, deadline, completed_at, waiting_since
		FROM courier_orders WHERE completed_at IS NOT NULL`)
	found := make(figuresBy)
	var id int64
	var assigned, deadline, completed time.Time
	var waiting *time.Time
	_, err := pgx.ForEachRow(rows, []any{&id, &assigned, &deadline, &completed, &waiting}, func() error {
		for _, who := range []int64{0, id} {
			found.count(who, assigned, deadline, completed, waiting)
		}
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	return found
}

func (b figuresBy) count(who int64, assigned, deadline, completed time.Time, waiting *time.Time) {
	if b[who] == nil {
		b[who] = make(map[time.Time]statistics.Figures)
	}
	day := completed.UTC().Truncate(24 * time.Hour)
	n := b[who][day]
	took := completed.Sub(assigned)
	n.Deliveries++
	n.DeliveryTime += took.Seconds()
	if completed.After(deadline) {
		n.Overdue++
	}
	if waiting != nil {
		n.Waits++
		n.WaitingTime += assigned.Sub(*waiting).Seconds()
	}
	bucket := 0
	for bucket < len(n.Histogram)-1 && took > statistics.Bound(bucket) {
		bucket++
	}
	n.Histogram[bucket]++
	b[who][day] = n
}

// statisticsAreRight compares the statistics with the recount.
func (f fixture) statisticsAreRight() {
	f.Helper()
	store := postgres.NewStatistics(f.pool)
	all := statistics.Period{From: time.Now().AddDate(-1, 0, 0), To: time.Now().AddDate(1, 0, 0)}
	got := make(figuresBy)
	keep := func(who int64, days []statistics.Day, err error) {
		if err != nil {
			f.Fatal(err)
		}
		for _, d := range days {
			if got[who] == nil {
				got[who] = make(map[time.Time]statistics.Figures)
			}
			got[who][d.Day] = d.Figures
		}
	}
	days, err := store.Days(f.Context(), all)
	keep(0, days, err)
	couriers, err := store.Couriers(f.Context(), all, 0, 100)
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range couriers {
		days, err := store.Courier(f.Context(), c.CourierID, all)
		keep(c.CourierID, days, err)
		if diff := cmp.Diff(statistics.Sum(days), c.Figures, nearly); diff != "" {
			f.Errorf("courier %d in the list (-sum of days +period):\n%s", c.CourierID, diff)
		}
	}
	if diff := cmp.Diff(f.recount(), got, nearly); diff != "" {
		f.Errorf("statistics (-recount +kept):\n%s", diff)
	}
}

// nearly allows for the rounding of sums of seconds in Go.
var nearly = cmpopts.EquateApprox(0, 1e-3)

// TestRemovedDeliveriesStayCounted: a delivery that RETENTION deletes stays in the
// statistics; one of a cancelled order does not.
func TestRemovedDeliveriesStayCounted(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting))
	f.match(2)
	f.save(to("a", courier.StateCompleted), to("b", courier.StateCompleted))
	f.exec("DELETE FROM courier_orders WHERE order_id = 'a'")
	f.count()
	f.expect("2 2", "SELECT (SELECT sum(deliveries) FROM courier_statistics) || ' ' || (SELECT sum(deliveries) FROM daily_statistics)")
	f.save(to("b", courier.StateCancelled))
	f.count()
	f.expect("1 1", "SELECT (SELECT sum(deliveries) FROM courier_statistics) || ' ' || (SELECT sum(deliveries) FROM daily_statistics)")
}

// TestCompletingWaitsForNoStatistics: an open transaction that counts, or that completed an
// order, does not keep other sessions from completing and counting theirs.
func TestCompletingWaitsForNoStatistics(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting), to("c", courier.StateWaiting))
	f.match(3)
	f.save(to("a", courier.StateCompleted))
	counting := f.holding("SELECT count_deliveries()")
	f.save(to("b", courier.StateCompleted))
	if err := counting.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	completing := f.holding("UPDATE courier_orders SET completed_at = now() WHERE order_id = 'c'")
	f.count()
	f.expect("2", "SELECT sum(deliveries) FROM daily_statistics")
	if err := completing.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.count()
	f.expect("3", "SELECT sum(deliveries) FROM daily_statistics")
}

// TestStatisticsWaitForACount: a reader waits for another session that counts, and gets its result.
func TestStatisticsWaitForACount(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.match(1)
	f.save(to("a", courier.StateCompleted))
	counting := f.holding("SELECT count_deliveries()")
	read := make(chan int, 1)
	go func() {
		days, err := postgres.NewStatistics(f.pool).Days(f.Context(), statistics.Period{From: time.Now().AddDate(0, 0, -2), To: time.Now().AddDate(0, 0, 2)})
		if err != nil {
			t.Error(err)
		}
		read <- len(days)
	}()
	f.awaitLockWait(func() bool { return len(read) > 0 })
	if err := counting.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-read; n != 1 {
		t.Errorf("%d days", n)
	}
}

// TestRepairStatisticsBesideWriters: repair_statistics() makes the statistics equal to the
// deliveries while other sessions complete and cancel.
func TestRepairStatisticsBesideWriters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`INSERT INTO orders (order_id, state) SELECT 'o' || i, 'completed' FROM generate_series(0, 19999) i`)
	f.exec(`INSERT INTO courier_orders (order_id, courier_id, assigned_at, deadline, completed_at)
		SELECT 'o' || i, i, now() - i * interval '3 min', now(), CASE WHEN i % 2 = 0 THEN now() - i * interval '2 min' END
		FROM generate_series(0, 19999) i`)
	f.count()
	f.exec("DELETE FROM daily_statistics")
	f.exec("DELETE FROM courier_statistics WHERE courier_id % 3 = 0")
	f.exec("UPDATE courier_statistics SET overdue = overdue + 1 WHERE courier_id % 3 = 1")
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { f.writeUntil(done) })
	f.exec("CALL repair_statistics()")
	close(done)
	wg.Wait()
	f.nothingLacks()
}

func (f fixture) nothingLacks() {
	f.Helper()
	f.expect("0 0", "SELECT (SELECT count(*) FROM courier_statistics_diff) || ' ' || (SELECT count(*) FROM daily_statistics_diff)")
	f.count()
	f.expect("0 0", "SELECT (SELECT count(*) FROM courier_statistics_diff) || ' ' || (SELECT count(*) FROM daily_statistics_diff)")
	f.expect(f.one("SELECT count(*) FROM courier_orders WHERE completed_at IS NOT NULL"), "SELECT sum(deliveries) FROM daily_statistics")
}

// writeUntil completes the odd deliveries and cancels every fourth, one by one.
func (f fixture) writeUntil(done <-chan struct{}) {
	for i := 1; ; i = (i + 2) % 20000 {
		select {
		case <-done:
			return
		default:
		}
		f.exec("UPDATE courier_orders SET completed_at = now() WHERE completed_at IS NULL AND order_id = 'o' || $1::int", i)
		f.exec("WITH c AS (UPDATE orders SET state = 'cancelled' WHERE order_id = 'o' || $1::int) DELETE FROM courier_orders WHERE order_id = 'o' || $1::int", (i-1)*2%20000)
	}
}

// TestHistogramBuckets: the database and the use case have the same bounds.
func TestHistogramBuckets(t *testing.T) {
	f := newFixture(t)
	var want, got []int
	for i := range len(statistics.Histogram{}) {
		took := statistics.Bound(i) - time.Millisecond
		var digits int
		if err := f.pool.QueryRow(t.Context(), "SELECT length(trim_scale(delivery_histogram($1))::text)", took).Scan(&digits); err != nil {
			t.Fatal(err)
		}
		want, got = append(want, i), append(got, (digits-1)/9)
	}
	if !slices.Equal(got, want) {
		t.Errorf("buckets %v", got)
	}
}
