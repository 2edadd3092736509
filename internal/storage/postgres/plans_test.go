package postgres_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
	"service-courier/internal/usecase/statistics"
)

// planBatch is the size of the batches whose plans are held.
const planBatch = 500

// TestPlansOfTheHotStatements: with 200,000 couriers and a history, every
// statement on the path of an event finds its rows by index and touches no more
// of them than a small multiple of the batch, before ANALYZE and after. The
// statements are the real ones, run by the code that runs them in production;
// the plans are those that auto_explain saw executed.
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

// TestPlansMadeAtRest: the same when the planner saw the tables last when nothing was
// under way, as after a night's ANALYZE. To it, every index of what is open is then as
// short as any other, until a tenth of all the orders there ever were have changed.
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

// newPlanDatabase has a connection to fill it by, whose statements are not told.
func newPlanDatabase(t *testing.T) (url string, filler fixture) {
	t.Helper()
	if testing.Short() {
		t.Skip("fills a database with 200,000 couriers")
	}
	t.Parallel()
	url = pgtest.NewDatabase(t, postgres.Migrate)
	return url, fixture{T: t, pool: openPool(t, url, nil)}
}

// in is the fixture for a subtest, which then fails by itself.
func (f fixture) in(t *testing.T) fixture {
	f.T = t
	return f
}

// newPlanFixture has one connection, which tells the plan of what it executes.
func newPlanFixture(t *testing.T, url string, seen *planLog) fixture {
	t.Helper()
	pool := openPool(t, url, seen)
	f := fixture{t, pool, postgres.NewOrders(pool), postgres.NewLine(pool)}
	f.exec("LOAD 'auto_explain'")
	for _, set := range []string{
		"log_level = notice", "log_format = json", "log_analyze = on", "log_timing = off", "log_min_duration = 0",
		"log_nested_statements = on", // those of the triggers
	} {
		f.exec("SET auto_explain." + set)
	}
	return f
}

// planStep is a statement, run once, and the indexes that may be used for it,
// all of which are.
type planStep struct {
	name string
	run  func()
	want []string
}

// bound is what a plan may touch no more of than a few rows for each of the batch.
type bound int

const (
	tablesAndJoins bound = iota
	tables               // what is joined may be compared row by row
	nothing              // it counts what there is, and the couriers end to end
)

// hotPlans are the statements that every event takes. Each pass has orders of its own.
func (f fixture) hotPlans(pass int) []planStep {
	return []planStep{
		{"insert", func() { f.save(planNew(pass)...) }, []string{"orders_pkey"}},
		{"advance to completed", func() { f.save(planOpen(pass, courier.StateCompleted)...) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_pkey"}},
		{"cancel completed", func() { f.save(planOpen(pass, courier.StateCancelled)...) }, []string{"courier_orders_pkey", "couriers_pkey", "orders_pkey"}},
		{"list all", func() { f.listOrders(orders.All) }, []string{"courier_orders_pkey", "orders_pkey"}},
		{"list waiting", func() { f.listOrders(orders.Waiting) }, []string{"courier_orders_pkey", "orders_line"}},
		{"list assigned", func() { f.listOrders(orders.Assigned) }, []string{"courier_orders_one_open", "orders_pkey"}},
		{"list late", func() { f.listOrders(orders.Late) }, []string{"courier_orders_late", "orders_pkey"}},
		{"list looking", func() { f.listOrders(orders.Looking) }, []string{"courier_orders_pkey", "orders_due"}},
		{"list missing", func() { f.listOrders(orders.Missing) }, []string{"courier_orders_pkey", "orders_missing"}},
		{"list held", func() { f.listOrders(orders.Held) }, []string{"courier_orders_pkey", "orders_held"}},
		{"list completed", func() { f.listOrders(orders.Completed) }, []string{"courier_orders_pkey", "orders_completed"}},
		{"list cancelled", func() { f.listOrders(orders.Cancelled) }, []string{"courier_orders_pkey", "orders_cancelled"}},
		{"an order", func() { f.showOrder() }, []string{"courier_orders_pkey", "journal_of_order", "orders_pkey"}},
		{"statistics of the fleet", func() { f.askStatistics(0) }, []string{"fleet_days_pkey"}},
		{"statistics of a courier", func() { f.askStatistics(7) }, []string{"courier_days_pkey"}},
		{"statistics of couriers", func() { f.askStatistics(-1) }, []string{"courier_days_pkey", "couriers_pkey"}},
		{"match", func() { f.match(planBatch) }, []string{
			"courier_orders_one_open", "courier_orders_pkey", "couriers_free", "couriers_order_key", "couriers_pkey", "orders_line", "orders_pkey",
		}},
	}
}

// checkHotPlans holds the plans of a moment when the planner knew every table to
// be empty and every index to be as good as any other. What it joins it may
// compare row by row, which costs as much as the batch is long and no more.
func (f fixture) checkHotPlans(pass int, seen *planLog) {
	f.Helper()
	f.checkSteps(f.hotPlans(pass), seen, tables)
}

func (f fixture) checkPlans(pass int, seen *planLog) {
	f.Helper()
	f.checkSteps(append(
		f.hotPlans(pass),
		planStep{"claim due", func() { f.claim(planBatch, planBatch) }, []string{"orders_due", "orders_pkey"}},
		planStep{"forget", func() { f.forget(planSeen(pass)) }, []string{"orders_pkey"}},
		planStep{"late deliveries", func() { f.late() }, []string{"courier_orders_late"}},
		planStep{"assign by hand", func() { f.assignByHand(planNew(pass)[0].OrderID) }, []string{
			"courier_orders_pkey", "couriers_free", "couriers_pkey", "orders_pkey",
		}},
		planStep{"sweep", func() { f.sweepPage(pass, planBatch) }, []string{"orders_pkey", "orders_under_way"}},
		planStep{"journal", func() { f.journalPage(planBatch) }, []string{"courier_orders_pkey", "couriers_pkey", "journal_pkey", "orders_pkey"}},
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
		{"how orders stand", ask(func() error { _, err := health.Standing(f.Context()); return err }), []string{
			"orders_line", "orders_missing", "orders_under_way",
		}},
		{"the line", ask(func() error { _, err := health.Line(f.Context()); return err }), []string{"orders_line", "orders_missing"}},
		{"gauges", ask(func() error { _, err := health.Gauges(f.Context()); return err }), []string{
			"courier_orders_late", "dead_letters_waiting", "orders_due", "orders_held",
		}},
		{"a snapshot", ask(func() error { _, err := journal.Snapshot(f.Context()); return err }), []string{
			"courier_orders_late", "orders_held", "orders_line", "orders_missing", "orders_pkey", "orders_under_way",
		}},
	}
}

func (f fixture) checkSteps(steps []planStep, seen *planLog, bounded bound) {
	f.Helper()
	for _, step := range steps {
		seen.forget()
		step.run()
		seen.check(f.T, step, bounded)
	}
}

// plansOfEmptyTables runs every statement, so that their plans are kept from a
// time when the tables held nothing.
func (f fixture) plansOfEmptyTables() {
	f.save(to("first", courier.StateWaiting))
	f.save(to("first", courier.StateCompleted))
	f.save(to("first", courier.StateCancelled))
	f.match(1)
	f.claim(1, 0)
	f.forget([]orderevent.Record{to("none", courier.StateNone)})
	f.late()
	f.sweepPage(0, 0)
	f.journalPage(3) // waiting, completed, cancelled
}

// makeHotPlans does so for the statements that every event takes.
func (f fixture) makeHotPlans() {
	f.save(to("second", courier.StateWaiting))
	f.save(to("second", courier.StateCompleted))
	f.match(1)
}

func (f fixture) late() {
	f.Helper()
	if _, err := f.orders.Overdue(f.Context()); err != nil {
		f.Fatal(err)
	}
}

// assignByHand gives a courier to an order that match may have given one before.
func (f fixture) assignByHand(id courier.OrderID) {
	f.Helper()
	f.save(to(id, courier.StateHeld))
	if _, err := f.assign(id, 0); err != nil {
		f.Fatal(err)
	}
}

// listOrders reads two pages: where a list is long, the second begins inside it.
func (f fixture) listOrders(list orders.List) {
	f.Helper()
	views := postgres.NewOrderViews(f.pool)
	page, err := views.Page(f.Context(), list, orders.Position{}, 51)
	if err == nil && len(page) > 0 {
		_, err = views.Page(f.Context(), list, page[len(page)-1].Position, 51)
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

// askStatistics asks for those of the fleet (0), of one courier, or of a page of them.
func (f fixture) askStatistics(who int64) {
	f.Helper()
	s := postgres.NewStatistics(f.pool)
	month := statistics.Period{From: time.Now().AddDate(0, 0, -29), To: time.Now().AddDate(0, 0, 1)}
	var err error
	switch who {
	case 0:
		_, err = s.Fleet(f.Context(), month)
	case -1:
		_, err = s.Couriers(f.Context(), month, 100, 51)
	default:
		_, err = s.Courier(f.Context(), who, month)
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

// fillHistory makes 200,000 couriers, half of them free, with a finished delivery each.
func (f fixture) fillHistory() {
	f.Helper()
	f.execAll(
		`SET statement_timeout = 0`,
		`INSERT INTO couriers (id, name, phone, status, transport_type, deliveries)
			SELECT i, 'c' || i, '+' || i, CASE WHEN i BETWEEN 50001 AND 150000 THEN 'available' ELSE 'paused' END, 'car', 1
			FROM generate_series(1, 200000) i`,
		`INSERT INTO courier_orders (order_id, courier_id, deadline, completed_at) SELECT 'done-' || i, i, now(), now() FROM generate_series(1, 200000) i`,
		`INSERT INTO orders (order_id, state) SELECT 'done-' || i, 'completed' FROM generate_series(1, 200000) i`,
		`INSERT INTO orders (order_id, state) SELECT 'cancelled-' || i, 'cancelled' FROM generate_series(1, 20000) i`,
		`INSERT INTO journal (order_id, what, source) SELECT order_id, state, 'test' FROM orders`,
	)
}

// fillOpen adds 50,000 open deliveries, 50,000 orders that wait, and some of every
// other kind that is open.
func (f fixture) fillOpen() {
	f.Helper()
	f.execAll(
		`UPDATE couriers SET status = 'busy', order_id = 'open-' || id WHERE id <= 50000`,
		// One in a thousand is late.
		`INSERT INTO courier_orders (order_id, courier_id, assigned_at, deadline)
			SELECT 'open-' || i, i, now() - interval '2 h', now() + interval '1 h' * CASE WHEN i % 1000 = 0 THEN -1 ELSE 1 END FROM generate_series(1, 50000) i`,
		`INSERT INTO orders (order_id, state) SELECT 'open-' || i, 'assigned' FROM generate_series(1, 50000) i`,
		`INSERT INTO orders (order_id, state, place) SELECT 'line-' || i, 'waiting', nextval('order_places') FROM generate_series(1, 50000) i`,
		`INSERT INTO orders (order_id, state, look_due_at, look_reason, look_token)
			SELECT 'seen-' || i, 'seen', now(), 'missing', nextval('look_tokens') FROM generate_series(1, 10000) i`,
		`INSERT INTO orders (order_id, state, place, missing_since) SELECT 'missing-' || i, 'waiting', nextval('order_places'), now() FROM generate_series(1, 1000) i`,
		`INSERT INTO orders (order_id, state, held_reason) SELECT 'held-' || i, 'held', 'test' FROM generate_series(1, 1000) i`,
		`INSERT INTO journal (order_id, what, source) SELECT order_id, state, 'test' FROM orders WHERE state NOT IN ('completed', 'cancelled')`,
	)
}

func (f fixture) execAll(statements ...string) {
	f.Helper()
	for _, sql := range statements {
		f.exec(sql)
	}
}

// Each pass has orders of its own.
func planNew(pass int) []orderevent.Record {
	return planRecords(func(i int) courier.OrderID { return courier.OrderID(fmt.Sprintf("new-%d-%d", pass, i)) }, courier.StateWaiting)
}

func planOpen(pass int, s courier.State) []orderevent.Record {
	return planRecords(func(i int) courier.OrderID { return courier.OrderID(fmt.Sprintf("open-%d", i+1+pass*planBatch)) }, s)
}

func planSeen(pass int) []orderevent.Record {
	return planRecords(func(i int) courier.OrderID { return courier.OrderID(fmt.Sprintf("seen-%d", i+1+pass*planBatch)) }, courier.StateNone)
}

func planRecords(id func(int) courier.OrderID, s courier.State) []orderevent.Record {
	records := make([]orderevent.Record, planBatch)
	for i := range records {
		records[i] = to(id(i), s)
	}
	return records
}

func (f fixture) forget(records []orderevent.Record) {
	f.Helper()
	err := f.orders.InTx(f.Context(), func(tx orderevent.Tx) error {
		var changes []orderevent.Change
		for _, r := range records {
			changes = append(changes, orderevent.Change{From: courier.StateSeen, Next: r})
		}
		_, err := tx.Save(f.Context(), changes, nil)
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

func (f fixture) sweepPage(pass, want int) {
	f.Helper()
	s := postgres.NewSweep(f.pool)
	ids, err := s.Open(f.Context(), "open-2", planBatch)
	if err != nil || len(ids) != want {
		f.Fatalf("%d open orders, %v", len(ids), err)
	}
	told := make(map[courier.OrderID]courier.Class, planBatch)
	for _, r := range planOpen(pass, courier.StateCompleted) {
		told[r.OrderID] = courier.ClassActive
	}
	if _, err := s.Behind(f.Context(), told); err != nil {
		f.Fatal(err)
	}
}

func (f fixture) journalPage(want int) {
	f.Helper()
	j := postgres.NewJournal(f.pool)
	// The journal ends where the oldest transaction of the server began, and tests beside
	// this one fill databases of their own.
	for deadline := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
		entries, _, err := j.After(f.Context(), livefeed.Cursor{}, planBatch)
		if err == nil && len(entries) == want {
			return
		}
		if err != nil || time.Now().After(deadline) {
			f.Fatalf("%d entries, %v", len(entries), err)
		}
	}
}

// planLog gathers what auto_explain tells the client.
type planLog struct {
	mu    sync.Mutex
	plans []plan
	bad   []string // what was no plan
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
	_, told, found := strings.Cut(n.Message, "plan:")
	var explained struct{ Plan plan }
	if err := json.Unmarshal([]byte(told), &explained); !found || err != nil {
		l.bad = append(l.bad, n.Message)
		return
	}
	l.plans = append(l.plans, explained.Plan)
}

func (l *planLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plans, l.bad = nil, nil
}

// check fails the test when a plan read a table without an index, touched more
// rows than a few for each of the batch (of what it has read before only when
// joins count), or used other indexes than those named.
func (l *planLog) check(t *testing.T, step planStep, bounded bound) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.plans) == 0 || len(l.bad) > 0 {
		t.Fatalf("%s: auto_explain told %d plans and %q", step.name, len(l.plans), l.bad)
	}
	const most = 3 * planBatch
	used := make(map[string]bool)
	var visit func(p plan)
	visit = func(p plan) {
		if p.Node == "Seq Scan" && p.Table != "" && (p.Table != "couriers" || bounded != nothing) {
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
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, step.want) {
		t.Errorf("%s uses the indexes %v, want %v", step.name, got, step.want)
	}
}
