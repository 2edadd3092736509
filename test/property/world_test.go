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
	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/gateway/order"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// truth is service-order: what is true of each order right now. An order that
// is not in it answers 404.
type truth struct {
	mu     sync.Mutex
	status map[courier.OrderID]string
}

func (t *truth) set(id courier.OrderID, status string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if status == "deleted" {
		delete(t.status, id)
		return
	}
	t.status[id] = status
}

func (t *truth) get(id courier.OrderID) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.status[id]
	return s, ok
}

// client is one replica's way to service-order for one batch: it reads the
// truth at once, and answers only when the batch is let go.
type client struct {
	truth *truth
	away  map[courier.OrderID]bool // GETs of these fail
	asked *sync.WaitGroup          // done once a GET has read the truth
	gate  <-chan struct{}
}

func (c client) Get(_ context.Context, id courier.OrderID) (order.Order, error) {
	status, known := c.truth.get(id)
	c.asked.Done()
	<-c.gate
	switch {
	case c.away[id]:
		return order.Order{}, order.ErrUnavailable
	case !known:
		return order.Order{}, order.ErrNotFound
	}
	return order.Order{ID: id, Status: status, CreatedAt: time.Unix(1700000000, 0)}, nil
}

func (client) Ready(context.Context) error { return nil }
func (client) Tripped() bool               { return false }

// world is the database, service-order, and the batches on their way.
type world struct {
	*rapid.T
	ctx    context.Context
	pool   *pgxpool.Pool
	truth  *truth
	queues [6][]orderevent.Hint // a partition each
	flying []*flight
}

// flight is a batch whose GETs have read the truth and that is not saved yet.
type flight struct {
	gate chan struct{}
	done chan error
}

// newWorld empties the database, which the test's runs share.
func newWorld(ctx context.Context, t *rapid.T, pool *pgxpool.Pool, couriers int) *world {
	w := &world{T: t, ctx: ctx, pool: pool, truth: &truth{status: make(map[courier.OrderID]string)}}
	w.exec("TRUNCATE couriers, orders, courier_orders, courier_days, fleet_days, journal RESTART IDENTITY")
	w.exec("INSERT INTO couriers (name, phone, status, transport_type) SELECT 'c', i::text, 'available', 'car' FROM generate_series(1, $1::int) i", couriers)
	return w
}

func (w *world) exec(sql string, args ...any) {
	if _, err := w.pool.Exec(w.ctx, sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

// launch begins to reconcile a batch on a replica of its own: the truth is
// read now, the rest happens when land is called.
func (w *world) launch(hints []orderevent.Hint, away map[courier.OrderID]bool) {
	distinct := make(map[courier.OrderID]bool)
	for _, h := range hints {
		distinct[h.OrderID] = true
	}
	var asked sync.WaitGroup
	asked.Add(len(distinct))
	f := &flight{gate: make(chan struct{}), done: make(chan error, 1)}
	c := client{truth: w.truth, away: away, asked: &asked, gate: f.gate}
	matcher := orderevent.NewMatcher(postgres.NewLine(w.pool), observer{})
	log := slog.New(slog.DiscardHandler)
	r := orderevent.NewReconciler(c, postgres.NewOrders(w.pool), matcher, observer{}, log, len(distinct))
	go func() { f.done <- r.Reconcile(w.ctx, orderevent.Batch{Hints: hints}) }()
	asked.Wait()
	w.flying = append(w.flying, f)
}

// land lets batches go, all at the same time, and waits for them.
func (w *world) land(fs ...*flight) {
	for _, f := range fs {
		close(f.gate)
	}
	for _, f := range fs {
		if err := <-f.done; err != nil {
			w.Fatalf("reconcile: %v", err)
		}
	}
}

func (w *world) landAll() {
	w.land(w.flying...)
	w.flying = nil
}

func (w *world) match() {
	if err := orderevent.NewMatcher(postgres.NewLine(w.pool), observer{}).Match(w.ctx); err != nil {
		w.Fatalf("match: %v", err)
	}
}

// claimDue lets the time of every pending look come, and claims some.
func (w *world) claimDue(limit int) []orderevent.Hint {
	w.exec("UPDATE orders SET look_due_at = now() WHERE look_due_at IS NOT NULL")
	hints, err := postgres.NewOrders(w.pool).ClaimDue(w.ctx, limit, time.Hour)
	if err != nil {
		w.Fatalf("claim: %v", err)
	}
	return hints
}

func (w *world) stateOf(id courier.OrderID) string {
	var state string
	err := w.pool.QueryRow(w.ctx, "SELECT coalesce((SELECT state FROM orders WHERE order_id = $1), '')", id).Scan(&state)
	if err != nil {
		w.Fatalf("state of %s: %v", id, err)
	}
	return state
}

func (w *world) sound() {
	violations, err := postgres.CheckInvariants(w.ctx, w.pool)
	if err != nil {
		w.Fatalf("%v", err)
	}
	for _, v := range violations {
		w.Errorf("%s: %s", v.Promise, v.Who)
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

func (observer) Reconciled(orderevent.Outcome)   {}
func (observer) Matched([]orderevent.Assignment) {}
func (observer) Begin(ctx context.Context, _ orderevent.Phase, _ ...orderevent.Hint) (context.Context, orderevent.End) {
	return ctx, func(int, error) {}
}

func newPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), pgtest.NewDatabase(t, postgres.Migrate), 16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func orderID(i int) courier.OrderID { return courier.OrderID(fmt.Sprintf("order-%d", i)) }
