package postgres_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
	"service-courier/internal/usecase/statistics"
)

// planBatch is the size of the batches whose plans are checked.
const planBatch = 500

// TestPlansOfTheHotStatements: with 200,000 couriers and a history, every statement on
// the path of an event finds its rows by index and reads no more of them than a small
// multiple of the batch, before ANALYZE and after. The statements are run by the
// production code; auto_explain reports the plans that were executed.
func TestPlansOfTheHotStatements(t *testing.T) {
	url, filler := newPlanDatabase(t)
	var seen planLog
	f := newPlanFixture(t, url, &seen)
	f.plansOfEmptyTables()
	f.exec("TRUNCATE orders, courier_orders, journal")
	f.exec("VACUUM ANALYZE")
	known := newPlanFixture(t, url, &seen)
	known.makeHotPlans()
	filler.fillHistory()
	filler.fillOpen()
	t.Run("made when the tables were empty", func(t *testing.T) { f.in(t).checkPlans(0, &seen) })
	t.Run("made when the tables were known to be empty", func(t *testing.T) { known.in(t).checkHotPlans(1, &seen) })
	t.Run("not analyzed yet", func(t *testing.T) { newPlanFixture(t, url, &seen).checkPlans(2, &seen) })
	filler.exec("ANALYZE")
	t.Run("analyzed", func(t *testing.T) { newPlanFixture(t, url, &seen).checkPlans(3, &seen) })
}

// TestPlansMadeAtRest: the same when ANALYZE ran while no order was active, as at night.
// Then the planner takes every partial index for equally short, until a tenth of all
// orders has changed.
func TestPlansMadeAtRest(t *testing.T) {
	url, filler := newPlanDatabase(t)
	var seen planLog
	filler.fillHistory()
	filler.exec("VACUUM ANALYZE")
	rested := newPlanFixture(t, url, &seen)
	rested.makeHotPlans()
	filler.fillOpen()
	t.Run("made at rest", func(t *testing.T) { rested.in(t).checkHotPlans(0, &seen) })
	t.Run("not analyzed since", func(t *testing.T) { newPlanFixture(t, url, &seen).checkPlans(1, &seen) })
}

// newPlanDatabase returns a database and a connection to fill it, whose plans are not
// reported.
func newPlanDatabase(t *testing.T) (url string, filler fixture) {
	t.Helper()
	citest.Only(t, "it fills a database with 200,000 couriers")
	t.Parallel()
	url = pgtest.NewDatabase(t, postgres.Migrate)
	return url, fixture{T: t, pool: openPool(t, url, nil)}
}

// in returns the fixture for a subtest.
func (f fixture) in(t *testing.T) fixture {
	f.T = t
	return f
}

// newPlanFixture has one connection, whose plans are reported.
func newPlanFixture(t *testing.T, url string, seen *planLog) fixture {
	t.Helper()
	pool := openPool(t, url, seen)
	f := fixture{t, pool, postgres.NewOrders(pool), postgres.NewMatching(pool)}
	f.exec("LOAD 'auto_explain'")
	for _, set := range []string{
		"log_level = notice", "log_format = json", "log_analyze = on", "log_timing = off", "log_min_duration = 0",
		"log_nested_statements = on", // those of the triggers
	} {
		f.exec("SET auto_explain." + set)
	}
	return f
}

// planStep is a statement, run once, and the indexes that it uses.
type planStep struct {
	name string
	run  func()
	want []string
}

// bound says where a plan may read no more than a few rows for each of the batch.
type bound int

const (
	tablesAndJoins bound = iota
	tables               // joins may compare row by row
	nothing              // it counts, and reads all couriers
)

// hotPlans are the statements that every event needs. Each pass has its own orders.
func (f fixture) hotPlans(pass int) []planStep {
	return []planStep{
		{"insert", func() { f.save(planNew(pass)...) }, []string{"orders_pkey"}},
		{"advance to completed", func() { f.save(planOpen(pass, courier.StateCompleted)...) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_pkey"}},
		{"an order waits", func() { f.orderWaits() }, []string{"orders_waiting_queue"}},
		{"cancel completed", func() { f.save(planOpen(pass, courier.StateCancelled)...) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_pkey"}},
		{"list all", func() { f.listOrders(orders.All) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_pkey"}},
		{"list active", func() { f.listOrders(orders.Active) }, []string{
			"courier_orders_overdue", "courier_orders_pkey", "couriers_pkey", "orders_held", "orders_pkey", "orders_waiting_missing", "orders_waiting_queue",
		}},
		{"list waiting", func() { f.listOrders(orders.Waiting) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_waiting_missing", "orders_waiting_queue"}},
		{"list assigned", func() { f.listOrders(orders.Assigned) }, []string{"courier_orders_overdue", "couriers_pkey", "orders_pkey"}},
		{"list overdue", func() { f.listOrders(orders.Overdue) }, []string{"courier_orders_overdue", "couriers_pkey", "orders_pkey"}},
		{"list pending rechecks", func() { f.listOrders(orders.PendingRecheck) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_due"}},
		{"list missing", func() { f.listOrders(orders.Missing) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_missing"}},
		{"list held", func() { f.listOrders(orders.Held) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_held"}},
		{"list completed", func() { f.listOrders(orders.Completed) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_completed"}},
		{"list cancelled", func() { f.listOrders(orders.Cancelled) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_cancelled"}},
		{"list couriers", func() { _ = second(postgres.NewCouriers(f.pool).Page(f.Context(), couriers.Filter{}, 0, 250)) }, []string{"couriers_pkey"}},
		{"an order", func() { f.showOrder() }, []string{"courier_orders_pkey", "couriers_pkey", "journal_of_order", "orders_pkey"}},
		{"daily statistics", func() { f.readStatistics(0) }, []string{"daily_statistics_pkey"}},
		{"statistics of a courier", func() { f.readStatistics(7) }, []string{"courier_statistics_pkey"}},
		{"statistics of couriers", func() { f.readStatistics(-1) }, []string{"courier_statistics_pkey", "couriers_pkey"}},
		{"match", func() { f.match(planBatch) }, []string{
			"courier_orders_one_open", "courier_orders_pkey", "couriers_free", "couriers_order_key", "couriers_pkey", "orders_waiting_queue", "orders_pkey",
		}},
	}
}

// checkHotPlans checks plans that were made while the planner knew every table to be
// empty, and took every index for equally good. Joins may compare row by row, which
// costs no more than the batch is long.
func (f fixture) checkHotPlans(pass int, seen *planLog) {
	f.Helper()
	f.checkSteps(f.hotPlans(pass), seen, tables)
}

func (f fixture) checkPlans(pass int, seen *planLog) {
	f.Helper()
	f.checkSteps(append(
		f.hotPlans(pass),
		planStep{"claim due", func() { f.claim(planBatch, planBatch) }, []string{"orders_due", "orders_pkey"}},
		planStep{"delete", func() { f.delete(planSeen(pass)) }, []string{"orders_pkey"}},
		planStep{"overdue deliveries", func() { f.overdue() }, []string{"courier_orders_overdue"}},
		planStep{"assign", func() { f.assignHeld(planNew(pass)[0].OrderID) }, []string{
			"courier_orders_pkey", "couriers_free", "couriers_pkey", "orders_pkey",
		}},
		planStep{"resync", func() { f.resyncPage(pass, planBatch) }, []string{"orders_pkey", "orders_active"}},
		planStep{"journal", func() { f.journalPage(planBatch) }, []string{"courier_orders_pkey", "couriers_pkey", "journal_pkey", "orders_pkey"}},
		planStep{"day of a courier", func() {
			_ = second(postgres.NewCouriers(f.pool).History(f.Context(), 7, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC)))
		}, []string{"courier_orders_one_open", "journal_pkey"}},
		planStep{"outbox", func() { _ = second(postgres.NewTransitions(f.pool).After(f.Context(), 0, planBatch)) }, []string{"couriers_pkey", "journal_pkey"}},
	), seen, tablesAndJoins)
	f.checkSteps(f.countPlans(), seen, nothing)
}

// countPlans are the statements that count, for metrics and the live feed.
func (f fixture) countPlans() []planStep {
	health, journal := postgres.NewHealth(f.pool), postgres.NewJournal(f.pool)
	ask := func(question func() error) func() {
		return func() {
			if err := question(); err != nil {
				f.Fatal(err)
			}
		}
	}
	return []planStep{
		{"active orders", ask(func() error { _, err := health.ActiveOrders(f.Context()); return err }), []string{
			"orders_waiting_queue", "orders_missing", "orders_active",
		}},
		{"waiting queue", ask(func() error { _, err := health.Queue(f.Context()); return err }), []string{"orders_held", "orders_waiting_queue", "orders_waiting_missing"}},
		{"queue place", ask(func() error { _, err := postgres.NewOrderViews(f.pool).QueuePlace(f.Context(), "new-1-1"); return err }), []string{
			"couriers_free", "orders_pkey", "orders_waiting_missing", "orders_waiting_queue",
		}},
		{"gauges", ask(func() error { _, err := health.Gauges(f.Context()); return err }), []string{
			"courier_orders_overdue", "dead_letters_pending", "orders_due", "orders_held",
		}},
		{"a snapshot", ask(func() error { _, err := journal.Snapshot(f.Context(), math.MaxInt64); return err }), []string{
			"courier_orders_overdue", "journal_pkey", "orders_held", "orders_waiting_queue", "orders_waiting_missing", "orders_pkey", "orders_active",
		}},
	}
}

func (f fixture) checkSteps(steps []planStep, seen *planLog, bounded bound) {
	f.Helper()
	for _, step := range steps {
		seen.clear()
		step.run()
		seen.check(f.T, step, bounded)
	}
}

// plansOfEmptyTables runs every statement, so that the plans are made while the tables
// are empty.
func (f fixture) plansOfEmptyTables() {
	f.save(to("first", courier.StateWaiting))
	f.save(to("first", courier.StateCompleted))
	f.save(to("first", courier.StateCancelled))
	f.orderWaits()
	f.match(1)
	f.claim(1, 0)
	f.delete([]orderevent.Order{to("none", courier.StateNone)})
	f.overdue()
	f.resyncPage(0, 0)
	f.journalPage(3) // waiting, completed, cancelled
}

// makeHotPlans runs the statements that every event needs, so that their plans are made.
func (f fixture) makeHotPlans() {
	f.save(to("second", courier.StateWaiting))
	f.save(to("second", courier.StateCompleted))
	f.match(1)
}

// orderWaits asks what a small batch asks that frees couriers.
func (f fixture) orderWaits() {
	f.Helper()
	if _, err := f.pool.Exec(f.Context(), postgres.OrderWaits, pgx.QueryExecModeCacheStatement); err != nil {
		f.Fatal(err)
	}
}

func (f fixture) overdue() {
	f.Helper()
	if _, err := f.orders.Overdue(f.Context()); err != nil {
		f.Fatal(err)
	}
}

// assignHeld puts an order on hold and assigns it.
func (f fixture) assignHeld(id courier.OrderID) {
	f.Helper()
	f.save(to(id, courier.StateHeld))
	if _, err := f.assign(id, 0); err != nil {
		f.Fatal(err)
	}
}

// listOrders reads two pages; the second begins inside the list.
func (f fixture) listOrders(list orders.List) {
	f.Helper()
	views := postgres.NewOrderViews(f.pool)
	page, err := views.Page(f.Context(), list, orders.PageKey{}, 51)
	if err == nil && len(page) > 0 {
		_, err = views.Page(f.Context(), list, page[len(page)-1].PageKey, 51)
	}
	if err != nil {
		f.Fatal(err)
	}
}

func (f fixture) showOrder() {
	f.Helper()
	views := postgres.NewOrderViews(f.pool)
	_, err := views.Get(f.Context(), "done-1000")
	if _, err2 := views.Timeline(f.Context(), "done-1000"); err == nil {
		err = err2
	}
	if err != nil {
		f.Fatal(err)
	}
}

// readStatistics reads the daily statistics (0), those of one courier, or those of a page
// of couriers (-1).
func (f fixture) readStatistics(courierID int64) {
	f.Helper()
	s := postgres.NewStatistics(f.pool)
	month := statistics.Period{From: time.Now().AddDate(0, 0, -29), To: time.Now().AddDate(0, 0, 1)}
	var err error
	switch courierID {
	case 0:
		_, err = s.Days(f.Context(), month)
	case -1:
		_, err = s.Couriers(f.Context(), month, 100, 51)
	default:
		_, err = s.Courier(f.Context(), courierID, month)
	}
	if err != nil {
		f.Fatal(err)
	}
}

func openPool(t *testing.T, url string, seen *planLog) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), url, 1)
	if err != nil {
		t.Fatal(err)
	}
	if seen != nil {
		cfg := pool.Config()
		pool.Close()
		cfg.ConnConfig.OnNotice = seen.notice
		if pool, err = pgxpool.NewWithConfig(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(pool.Close)
	return pool
}

// fillHistory inserts 200,000 couriers, half of them available, with a completed
// delivery each, all of them counted.
func (f fixture) fillHistory() {
	f.Helper()
	f.execAll(
		`SET statement_timeout = 0`,
		`INSERT INTO couriers (id, name, phone, status, transport_type, deliveries)
			SELECT i, 'c' || i, '+' || i, CASE WHEN i BETWEEN 50001 AND 150000 THEN 'available' ELSE 'paused' END, 'car', 1
			FROM generate_series(1, 200000) i`,
		`INSERT INTO courier_orders (order_id, courier_id, deadline, completed_at) SELECT 'done-' || i, i, now(), now() FROM generate_series(1, 200000) i`,
		`SELECT count_deliveries()`, `SELECT count_deliveries()`, // 100,000 each
		`INSERT INTO orders (order_id, state) SELECT 'done-' || i, 'completed' FROM generate_series(1, 200000) i`,
		`INSERT INTO orders (order_id, state) SELECT 'cancelled-' || i, 'cancelled' FROM generate_series(1, 20000) i`,
		`INSERT INTO journal (order_id, order_number, state, source) SELECT order_id, number, state, 'test' FROM orders`,
	)
}

// fillOpen inserts 50,000 open deliveries, 50,000 waiting orders, and some of every
// other active kind.
func (f fixture) fillOpen() {
	f.Helper()
	f.execAll(
		`UPDATE couriers SET status = 'busy', order_id = 'open-' || id WHERE id <= 50000`,
		// One in a thousand is overdue. Those of one batch have the same deadline.
		`INSERT INTO courier_orders (order_id, courier_id, assigned_at, deadline)
			SELECT 'open-' || i, i, now() - interval '2 h', now() + interval '1 h' * CASE WHEN i % 1000 = 0 THEN -1 ELSE 1 END + i / 500 * interval '1 s' FROM generate_series(1, 50000) i`,
		`INSERT INTO orders (order_id, state) SELECT 'open-' || i, 'assigned' FROM generate_series(1, 50000) i`,
		`INSERT INTO orders (order_id, state, queue_position) SELECT 'waiting-' || i, 'waiting', nextval('queue_positions') FROM generate_series(1, 50000) i`,
		`INSERT INTO orders (order_id, state, recheck_at, recheck_reason, recheck_token)
			SELECT 'seen-' || i, 'seen', now(), 'missing', nextval('recheck_tokens') FROM generate_series(1, 10000) i`,
		`INSERT INTO orders (order_id, state, queue_position, missing_since) SELECT 'missing-' || i, 'waiting', nextval('queue_positions'), now() FROM generate_series(1, 1000) i`,
		`INSERT INTO orders (order_id, state, held_reason) SELECT 'held-' || i, 'held', 'test' FROM generate_series(1, 1000) i`,
		`INSERT INTO journal (order_id, order_number, state, source) SELECT order_id, number, state, 'test' FROM orders WHERE state NOT IN ('completed', 'cancelled')`,
	)
}

func (f fixture) execAll(statements ...string) {
	f.Helper()
	for _, sql := range statements {
		f.exec(sql)
	}
}

// Each pass has orders of its own.
func planNew(pass int) []orderevent.Order {
	return planRecords(func(i int) courier.OrderID { return courier.OrderID(fmt.Sprintf("new-%d-%d", pass, i)) }, courier.StateWaiting)
}

func planOpen(pass int, s courier.State) []orderevent.Order {
	return planRecords(func(i int) courier.OrderID { return courier.OrderID(fmt.Sprintf("open-%d", i+1+pass*planBatch)) }, s)
}

func planSeen(pass int) []orderevent.Order {
	return planRecords(func(i int) courier.OrderID { return courier.OrderID(fmt.Sprintf("seen-%d", i+1+pass*planBatch)) }, courier.StateNone)
}

func planRecords(id func(int) courier.OrderID, s courier.State) []orderevent.Order {
	records := make([]orderevent.Order, planBatch)
	for i := range records {
		records[i] = to(id(i), s)
	}
	return records
}

func (f fixture) delete(records []orderevent.Order) {
	f.Helper()
	err := f.orders.InTx(f.Context(), func(tx orderevent.Tx) error {
		var changes []orderevent.Change
		for _, r := range records {
			changes = append(changes, orderevent.Change{From: courier.StateSeen, Next: r})
		}
		_, err := tx.Save(f.Context(), changes)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
}

func (f fixture) claim(limit, want int) {
	f.Helper()
	hints, err := f.orders.ClaimDue(f.Context(), limit, time.Minute)
	if err != nil || len(hints) != want {
		f.Fatalf("claimed %d orders, %v", len(hints), err)
	}
}

func (f fixture) resyncPage(pass, want int) {
	f.Helper()
	s := postgres.NewResync(f.pool)
	ids, err := s.ActivePage(f.Context(), "open-2", planBatch)
	if err != nil || len(ids) != want {
		f.Fatalf("%d open orders, %v", len(ids), err)
	}
	listed := make(map[courier.OrderID]courier.Class, planBatch)
	for _, r := range planOpen(pass, courier.StateCompleted) {
		listed[r.OrderID] = courier.ClassActive
	}
	if _, err := s.Behind(f.Context(), listed); err != nil {
		f.Fatal(err)
	}
}

func (f fixture) journalPage(want int) {
	f.Helper()
	changes, err := postgres.NewJournal(f.pool).After(f.Context(), 0, planBatch)
	if err != nil || len(changes) != want {
		f.Fatalf("%d changes, %v; want %d", len(changes), err, want)
	}
}

// planLog collects what auto_explain reports.
type planLog struct {
	mu    sync.Mutex
	plans []plan
	bad   []string // other messages
}

// plan is a node of an executed plan, with those below it.
type plan struct {
	Node     string  `json:"Node Type"`
	Table    string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Rows     float64 `json:"Actual Rows"` // a loop
	Loops    float64 `json:"Actual Loops"`
	Filtered float64 `json:"Rows Removed by Filter"` // a loop
	Plans    []plan  `json:"Plans"`
}

func (l *planLog) notice(_ *pgconn.PgConn, n *pgconn.Notice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, message, found := strings.Cut(n.Message, "plan:")
	var explained struct{ Plan plan }
	if err := json.Unmarshal([]byte(message), &explained); !found || err != nil {
		l.bad = append(l.bad, n.Message)
		return
	}
	l.plans = append(l.plans, explained.Plan)
}

func (l *planLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plans, l.bad = nil, nil
}

// check fails the test when a plan read a table without an index, read more rows than a
// few for each of the batch (of intermediate results only when joins count), or used
// other indexes than those named.
func (l *planLog) check(t *testing.T, step planStep, bounded bound) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.plans) == 0 || len(l.bad) > 0 {
		t.Fatalf("%s: auto_explain reported %d plans and %q", step.name, len(l.plans), l.bad)
	}
	const most = 3 * planBatch
	// They are small, and read as a whole.
	scanned := []string{"", "state_lost", "uncounted_deliveries"}
	used := make(map[string]bool)
	var visit func(p plan)
	visit = func(p plan) {
		if p.Node == "Seq Scan" && !slices.Contains(scanned, p.Table) && (p.Table != "couriers" || bounded != nothing) {
			t.Errorf("%s: sequential scan of %s", step.name, p.Table)
		}
		if touched := p.Loops * (p.Rows + p.Filtered); touched > most && (bounded == tablesAndJoins || bounded == tables && p.Table != "") {
			t.Errorf("%s: %s %s%s touched %.0f rows for a batch of %d", step.name, p.Node, p.Table, p.Index, touched, planBatch)
		}
		if p.Index != "" {
			used[p.Index] = true
		}
		for _, below := range p.Plans {
			visit(below)
		}
	}
	for _, p := range l.plans {
		visit(p)
	}
	if got, want := slices.Sorted(maps.Keys(used)), slices.Sorted(slices.Values(step.want)); !slices.Equal(got, want) {
		t.Errorf("%s uses the indexes %v, want %v", step.name, got, want)
	}
}

// TestOverdueCannotUseTheIndexOfOpenDeliveries: whatever the statistics say. With its own
// index gone and sequential scans disabled the planner would take any index that fits.
func TestOverdueCannotUseTheIndexOfOpenDeliveries(t *testing.T) {
	pool := openPool(t, pgtest.NewDatabase(t, postgres.Migrate), nil)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	for _, sql := range []string{"DROP INDEX courier_orders_overdue", "SET LOCAL enable_seqscan = off"} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := tx.Query(t.Context(), "EXPLAIN SELECT order_id FROM courier_orders WHERE completed_at IS NULL AND deadline >= '-infinity' AND deadline < now() ORDER BY deadline")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if text := strings.Join(plan, "\n"); err != nil || strings.Contains(text, "courier_orders_one_open") {
		t.Errorf("%v\n%s", err, text)
	}
}
