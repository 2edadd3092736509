package postgres

import (
	"context"
	"crypto/tls"
	_ "embed" // for the statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

var (
	//go:embed sql/health_gauges.sql
	healthGauges string
	//go:embed sql/health_queue.sql
	healthQueue string
	//go:embed sql/health_active_orders.sql
	healthActiveOrders string
	//go:embed sql/health_rechecks.sql
	healthRechecks string
	//go:embed sql/health_worst_rechecks.sql
	healthWorstRechecks string
)

// Health reads the state of the service for operators and metrics. Ages are by
// PostgreSQL's clock.
type Health struct{ pool *pgxpool.Pool }

// NewHealth returns the health of pool's database.
func NewHealth(pool *pgxpool.Pool) *Health { return &Health{pool} }

// Server returns the version of the server, as a number (150004 is 15.4) and as text, and
// its clock.
func (h *Health) Server(ctx context.Context) (number int, name string, now time.Time, err error) {
	err = h.pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, current_setting('server_version'), clock_timestamp()`).Scan(&number, &name, &now)
	if err != nil {
		return 0, "", now, fmt.Errorf("read the version of PostgreSQL: %w", explain(err))
	}
	return number, name, now, nil
}

// TLS returns the TLS version of a connection, such as TLS 1.3; "" without TLS.
func (h *Health) TLS(ctx context.Context) (version string, err error) {
	err = h.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		if conn, ok := c.Conn().PgConn().Conn().(*tls.Conn); ok {
			version = tls.VersionName(conn.ConnectionState().Version)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("connect: %w", explain(err))
	}
	return version, nil
}

// Backlog is how many items are pending, and the age of the oldest.
type Backlog struct {
	Count  int
	Oldest time.Duration
}

// QueueState is the waiting queue, the orders on hold and the couriers for them.
type QueueState struct {
	Waiting             Backlog // missing orders included, except in the age: no courier is sent for them
	Missing             int     // of the waiting orders
	Held                int     // orders on hold
	Couriers, Available int
}

// Queue returns the state of the waiting queue.
func (h *Health) Queue(ctx context.Context) (s QueueState, err error) {
	if err = h.pool.QueryRow(ctx, healthQueue).Scan(&s.Waiting.Count, &s.Waiting.Oldest, &s.Missing, &s.Couriers, &s.Available, &s.Held); err != nil {
		return s, fmt.Errorf("read the waiting queue: %w", explain(err))
	}
	return s, nil
}

// ActiveOrders counts the active orders.
func (h *Health) ActiveOrders(ctx context.Context) (orderevent.ActiveOrders, error) {
	return queryRow(ctx, h.pool, pgx.RowToStructByName[orderevent.ActiveOrders], "count active orders", healthActiveOrders)
}

// RecordStateLost stores that most active orders are missing now.
func (h *Health) RecordStateLost(ctx context.Context) error {
	_, err := h.pool.Exec(ctx, `
		INSERT INTO state_lost (most_missing_at) VALUES (now())
		ON CONFLICT (only_row) DO UPDATE SET most_missing_at = greatest(state_lost.most_missing_at, excluded.most_missing_at)`)
	if err != nil {
		return fmt.Errorf("store the loss of service-order's state: %w", explain(err))
	}
	return nil
}

// HasOrders reports whether the database has orders: the service has handled events before.
func (h *Health) HasOrders(ctx context.Context) (bool, error) {
	return queryRow(ctx, h.pool, pgx.RowTo[bool], "find orders", "SELECT EXISTS (SELECT FROM orders)")
}

// DeadLetters returns the pending dead letters.
func (h *Health) DeadLetters(ctx context.Context) (b Backlog, err error) {
	err = h.pool.QueryRow(ctx, `SELECT count(*), coalesce(elapsed(min(created_at), now()), '0')
		FROM dead_letters WHERE status = 'pending'`).Scan(&b.Count, &b.Oldest)
	if err != nil {
		return b, fmt.Errorf("count pending dead letters: %w", explain(err))
	}
	return b, nil
}

// Rechecks returns how many rechecks are pending, and the due ones.
func (h *Health) Rechecks(ctx context.Context) (pending int, due Backlog, err error) {
	err = h.pool.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE recheck_at < now()), greatest(coalesce(elapsed(min(recheck_at), now()), '0'), '0')
		FROM orders WHERE recheck_at IS NOT NULL`).Scan(&pending, &due.Count, &due.Oldest)
	if err != nil {
		return 0, due, fmt.Errorf("count rechecks: %w", explain(err))
	}
	return pending, due, nil
}

// PendingRechecks are the pending rechecks with one reason.
type PendingRechecks struct {
	Reason      string
	Orders, Due int
	MaxAttempts int
	Next        time.Time
}

// RechecksByReason returns the pending rechecks by reason.
func (h *Health) RechecksByReason(ctx context.Context) ([]PendingRechecks, error) {
	return query(ctx, h.pool, pgx.RowToStructByName[PendingRechecks], "count rechecks", healthRechecks)
}

// PendingRecheck is the pending recheck of an order.
type PendingRecheck struct {
	OrderID  courier.OrderID
	State    courier.State
	Reason   orderevent.Reason
	Attempts int
	Error    string        // of the last attempt; may be empty
	In       time.Duration // until it is due; negative when it is
}

// WorstRechecks returns the rechecks with the most failures, at most limit.
func (h *Health) WorstRechecks(ctx context.Context, limit int) ([]PendingRecheck, error) {
	return query(ctx, h.pool, pgx.RowToStructByName[PendingRecheck], "read rechecks", healthWorstRechecks, limit)
}

// Gauges are the numbers that metrics read from the database.
type Gauges struct {
	Available, Busy, Paused                    int // couriers
	Held, Overdue                              int // orders on hold, deliveries past their deadline
	Missing, Ahead, UnknownStatus, Unavailable int // pending rechecks by reason
	RechecksDue                                int
	DeadLettersPending                         int
	OldestDeadLetter                           time.Duration // age of the oldest pending one
}

// Gauges reads all of them at one moment.
func (h *Health) Gauges(ctx context.Context) (Gauges, error) {
	return queryRow(ctx, h.pool, pgx.RowToStructByName[Gauges], "read the gauges", healthGauges)
}
