package property

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"service-courier/internal/courier"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/gateway/order"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// orderService is the state of service-order. It answers 404 for other orders.
type orderService struct {
	mu     sync.Mutex
	status map[courier.OrderID]string
}

func (t *orderService) set(id courier.OrderID, status string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if status == "deleted" {
		delete(t.status, id)
		return
	}
	t.status[id] = status
}

func (t *orderService) get(id courier.OrderID) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.status[id]
	return s, ok
}

// client fetches orders for one batch: it reads the status at once and returns it when
// the batch is released.
type client struct {
	orders  *orderService
	failing map[courier.OrderID]bool // GETs of these fail
	read    *sync.WaitGroup          // done once a GET has read the status
	release <-chan struct{}
}

func (c client) Get(_ context.Context, id courier.OrderID) (order.Order, error) {
	status, known := c.orders.get(id)
	c.read.Done()
	<-c.release
	switch {
	case c.failing[id]:
		return order.Order{}, order.ErrUnavailable
	case !known:
		return order.Order{}, order.ErrNotFound
	}
	return order.Order{ID: id, Status: status, CreatedAt: time.Unix(1700000000, 0)}, nil
}

func (client) Ready(context.Context) error { return nil }
func (client) Tripped() bool               { return false }

// world is the database, service-order, and the running batches.
type world struct {
	*rapid.T
	ctx     context.Context
	pool    *pgxpool.Pool
	orders  *orderService
	queues  [6][]orderevent.Hint // one per partition
	running []*batch
}

// batch is a batch whose GETs have read the status and that is not saved yet.
type batch struct {
	release chan struct{}
	done    chan error
}

// newWorld empties the database, which the test's runs share.
func newWorld(ctx context.Context, t *rapid.T, pool *pgxpool.Pool, couriers int) *world {
	w := &world{T: t, ctx: ctx, pool: pool, orders: &orderService{status: make(map[courier.OrderID]string)}}
	w.exec("TRUNCATE couriers, orders, courier_orders, courier_statistics, daily_statistics, uncounted_deliveries, journal RESTART IDENTITY")
	w.exec("INSERT INTO couriers (name, phone, status, transport_type) SELECT 'c', i::text, 'available', 'car' FROM generate_series(1, $1::int) i", couriers)
	return w
}

func (w *world) exec(sql string, args ...any) {
	if _, err := w.pool.Exec(w.ctx, sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

// start starts a batch on its own replica: the statuses are read now, the rest happens in
// finish.
func (w *world) start(hints []orderevent.Hint, failing map[courier.OrderID]bool) {
	distinct := make(map[courier.OrderID]bool)
	for _, h := range hints {
		distinct[h.OrderID] = true
	}
	var read sync.WaitGroup
	read.Add(len(distinct))
	f := &batch{release: make(chan struct{}), done: make(chan error, 1)}
	c := client{orders: w.orders, failing: failing, read: &read, release: f.release}
	matcher := orderevent.NewMatcher(postgres.NewMatching(w.pool), observer{})
	log := slog.New(slog.DiscardHandler)
	r := orderevent.NewReconciler(c, postgres.NewOrders(w.pool), matcher, observer{}, log, len(distinct))
	go func() { f.done <- r.Reconcile(w.ctx, orderevent.Batch{Hints: hints}, nil) }()
	read.Wait()
	w.running = append(w.running, f)
}

// finish releases batches, all at the same time, and waits for them.
func (w *world) finish(fs ...*batch) {
	for _, f := range fs {
		close(f.release)
	}
	for _, f := range fs {
		if err := <-f.done; err != nil {
			w.Fatalf("reconcile: %v", err)
		}
	}
}

func (w *world) finishAll() {
	w.finish(w.running...)
	w.running = nil
}

func (w *world) match() {
	if err := orderevent.NewMatcher(postgres.NewMatching(w.pool), observer{}).Match(w.ctx); err != nil {
		w.Fatalf("match: %v", err)
	}
}

// claimDue makes every pending recheck due and claims some.
func (w *world) claimDue(limit int) []orderevent.Hint {
	w.exec("UPDATE orders SET recheck_at = now() WHERE recheck_at IS NOT NULL")
	hints, err := postgres.NewOrders(w.pool).ClaimDue(w.ctx, limit, time.Hour)
	if err != nil {
		w.Fatalf("claim: %v", err)
	}
	return hints
}

func (w *world) stateOf(id courier.OrderID) string {
	var state string
	err := w.pool.QueryRow(w.ctx, "SELECT coalesce((SELECT state::text FROM orders WHERE order_id = $1), '')", id).Scan(&state)
	if err != nil {
		w.Fatalf("state of %s: %v", id, err)
	}
	return state
}

func (w *world) invariantsHold() {
	violations, err := postgres.CheckInvariants(w.ctx, w.pool)
	if err != nil {
		w.Fatalf("%v", err)
	}
	for _, v := range violations {
		w.Errorf("%s: %s", v.Invariant, v.Subject)
	}
}

func (w *world) count(sql string) int {
	var n int
	if err := w.pool.QueryRow(w.ctx, sql).Scan(&n); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return n
}

type observer struct{}

func (observer) Reconciled(orderevent.BatchResult) {}
func (observer) Matched([]orderevent.Assignment)   {}
func (observer) Coalesced(int)                     {}
func (observer) Panicked()                         {}
func (observer) Begin(ctx context.Context, _ orderevent.Phase, _ ...orderevent.Hint) (context.Context, orderevent.End) {
	return ctx, func(int, error) {}
}

func newPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), pgtest.Patient(pgtest.NewDatabase(t, postgres.Migrate)), 16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func orderID(i int) courier.OrderID { return courier.OrderID(fmt.Sprintf("order-%d", i)) }
