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
	//go:embed sql/health_line.sql
	healthLine string
	//go:embed sql/health_standing.sql
	healthStanding string
	//go:embed sql/health_looks.sql
	healthLooks string
	//go:embed sql/health_worst_looks.sql
	healthWorstLooks string
)

// Health reads how the service stands, for an operator. Ages are by
// PostgreSQL's clock.
type Health struct{ pool *pgxpool.Pool }

// NewHealth returns the health of pool's database.
func NewHealth(pool *pgxpool.Pool) *Health { return &Health{pool} }

// Server returns the server's version, as its number (150004 is 15.4) and as it
// calls itself, and its clock.
func (h *Health) Server(ctx context.Context) (number int, name string, now time.Time, err error) {
	err = h.pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, current_setting('server_version'), clock_timestamp()`).Scan(&number, &name, &now)
	if err != nil {
		return 0, "", now, fmt.Errorf("ask for the version: %w", explain(err))
	}
	return number, name, now, nil
}

// TLS returns the version of TLS in which the server is talked to, such as
// TLS 1.3; "" in the clear.
func (h *Health) TLS(ctx context.Context) (version string, err error) {
	err = h.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		if conn, ok := c.Conn().PgConn().Conn().(*tls.Conn); ok {
			version = tls.VersionName(conn.ConnectionState().Version)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("take a connection: %w", explain(err))
	}
	return version, nil
}

// Backlog is how much of something there is, and for how long.
type Backlog struct {
	Count  int
	Oldest time.Duration
}

// LineState is the waiting line beside those who could shorten it.
type LineState struct {
	Waiting        Backlog // missing ones included
	Couriers, Free int
}

// Line returns how the waiting line stands.
func (h *Health) Line(ctx context.Context) (s LineState, err error) {
	if err = h.pool.QueryRow(ctx, healthLine).Scan(&s.Waiting.Count, &s.Waiting.Oldest, &s.Couriers, &s.Free); err != nil {
		return s, fmt.Errorf("read the line: %w", err)
	}
	return s, nil
}

// Standing returns how the open orders stand.
func (h *Health) Standing(ctx context.Context) (s orderevent.Standing, err error) {
	err = h.pool.QueryRow(ctx, healthStanding).Scan(&s.Open, &s.Missing, &s.MissingOldest, &s.Waiting, &s.WaitingOldest)
	if err != nil {
		return s, fmt.Errorf("read how the open orders stand: %w", err)
	}
	return s, nil
}

// Worked reports whether this database has orders, that is, whether the service
// has handled events before.
func (h *Health) Worked(ctx context.Context) (worked bool, err error) {
	if err = h.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM orders)").Scan(&worked); err != nil {
		return false, fmt.Errorf("look for orders: %w", err)
	}
	return worked, nil
}

// DeadLetters returns the letters that wait for a person.
func (h *Health) DeadLetters(ctx context.Context) (Backlog, error) {
	return h.backlog(ctx, `SELECT count(*), coalesce(now() - min(created_at), '0') FROM dead_letters WHERE status = 'waiting'`)
}

// Looks returns the orders that are to be looked at again, and those of them
// whose time has come: how many, and for how long.
func (h *Health) Looks(ctx context.Context) (pending int, due Backlog, err error) {
	err = h.pool.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE look_due_at < now()), greatest(coalesce(now() - min(look_due_at), '0'), '0')
		FROM orders WHERE look_due_at IS NOT NULL`).Scan(&pending, &due.Count, &due.Oldest)
	if err != nil {
		return 0, due, fmt.Errorf("read the looks: %w", err)
	}
	return pending, due, nil
}

// PendingLooks are the orders that are to be looked at again for one reason.
type PendingLooks struct {
	Reason      string
	Orders, Due int // all, and those whose time has come
	MostTries   int
	Next        time.Time
}

// LooksByReason returns the orders that are to be looked at again, by why. Where
// PostgreSQL cannot be asked, the error matches courier.ErrUnavailable.
func (h *Health) LooksByReason(ctx context.Context) ([]PendingLooks, error) {
	rows, err := h.pool.Query(ctx, healthLooks)
	if err != nil {
		return nil, fmt.Errorf("read the looks: %w", orUnavailable(err))
	}
	looks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PendingLooks])
	if err != nil {
		return nil, fmt.Errorf("read the looks: %w", orUnavailable(err))
	}
	return looks, nil
}

func (h *Health) backlog(ctx context.Context, sql string) (b Backlog, err error) {
	if err := h.pool.QueryRow(ctx, sql).Scan(&b.Count, &b.Oldest); err != nil {
		return b, fmt.Errorf("count the backlog: %w", err)
	}
	return b, nil
}

// PendingLook is an order that is to be looked at again.
type PendingLook struct {
	OrderID  courier.OrderID
	State    courier.State
	Reason   orderevent.Reason
	Attempts int
	Error    string        // of the last attempt; may be empty
	In       time.Duration // until it is due; negative when it is
}

// WorstLooks returns those looked at in vain most often, at most limit.
func (h *Health) WorstLooks(ctx context.Context, limit int) ([]PendingLook, error) {
	rows, err := h.pool.Query(ctx, healthWorstLooks, limit)
	if err != nil {
		return nil, fmt.Errorf("read the looks: %w", err)
	}
	looks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PendingLook])
	if err != nil {
		return nil, fmt.Errorf("read the looks: %w", err)
	}
	return looks, nil
}

// Gauges are the numbers that are watched and that no counter has.
type Gauges struct {
	Available, Busy, Paused                    int // couriers
	Held, Late                                 int // orders held, deliveries behind their deadline
	Missing, Ahead, UnknownStatus, Unavailable int // pending looks by reason
	LooksDue                                   int
	DeadLetters                                Backlog // those that wait for a person
}

// Gauges reads them all at one moment.
func (h *Health) Gauges(ctx context.Context) (g Gauges, err error) {
	err = h.pool.QueryRow(ctx, healthGauges).Scan(&g.Available, &g.Busy, &g.Paused, &g.Held, &g.Late,
		&g.Missing, &g.Ahead, &g.UnknownStatus, &g.Unavailable, &g.LooksDue, &g.DeadLetters.Count, &g.DeadLetters.Oldest)
	if err != nil {
		return g, fmt.Errorf("read the gauges: %w", err)
	}
	return g, nil
}
