package postgres

import (
	"context"
	_ "embed" // for the statements
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
)

var (
	//go:embed sql/orders_page.sql
	ordersPage string
	//go:embed sql/orders_active.sql
	ordersActive string
	//go:embed sql/queue_place.sql
	queuePlace string
)

// OrderViews reads orders for clients.
type OrderViews struct{ pool *pgxpool.Pool }

var _ orders.Store = (*OrderViews)(nil)

// NewOrderViews returns the orders of pool's database.
func NewOrderViews(pool *pgxpool.Pool) *OrderViews { return &OrderViews{pool} }

const (
	orderColumns = `o.order_id, o.state, o.order_created_at, o.created_at, o.updated_at, o.held_reason, o.missing_since,
		CASE WHEN o.state = 'waiting' THEN o.queue_position END AS queue_position,
		o.recheck_at, o.recheck_reason, o.recheck_count + o.recheck_failures AS recheck_attempts, o.recheck_error,
		d.courier_id, (SELECT name FROM couriers WHERE id = d.courier_id) AS courier_name, d.waiting_since, d.assigned_at, d.deadline, d.completed_at,
		coalesce(coalesce(d.completed_at, now()) > d.deadline, false) AS overdue`
	ordersFirst = `orders o LEFT JOIN courier_orders d USING (order_id)`
	// Missing and other waiting orders have an index each: matching reads only the others.
	waitingFirst = `(
		(SELECT * FROM orders WHERE state = 'waiting' AND missing_since IS NULL AND queue_position > $1::bigint ORDER BY queue_position LIMIT $3)
		UNION ALL
		(SELECT * FROM orders WHERE state = 'waiting' AND missing_since IS NOT NULL AND queue_position > $1::bigint ORDER BY queue_position LIMIT $3)
	) o LEFT JOIN courier_orders d USING (order_id)`
	deliveriesFirst = `courier_orders d JOIN orders o USING (order_id)`
	// As in orders_active.sql, WITH TIES avoids a sort by id.
	deadlinesFirst = `(
		SELECT * FROM courier_orders
		WHERE completed_at IS NULL AND deadline >= '-infinity' AND (deadline, order_id) > ($1::timestamptz, $2)
		ORDER BY deadline FETCH FIRST ($3) ROWS WITH TIES
	) d JOIN orders o USING (order_id)`
)

// orderRow is a row of orderColumns; page_key is the key of its page.
type orderRow struct {
	OrderID                                         courier.OrderID
	State                                           courier.State
	OrderCreatedAt                                  *time.Time
	CreatedAt, UpdatedAt                            time.Time
	HeldReason                                      *string
	QueuePosition                                   *int64
	MissingSince, RecheckAt                         *time.Time
	RecheckReason                                   *orderevent.Reason
	RecheckAttempts                                 int
	RecheckError                                    *string
	CourierID                                       *int64
	CourierName                                     *string
	WaitingSince, AssignedAt, Deadline, CompletedAt *time.Time
	Overdue                                         bool
	PageKey                                         string
}

func (r orderRow) order() orders.Order {
	o := orders.Order{
		OrderID: r.OrderID, State: r.State, OrderCreatedAt: orZero(r.OrderCreatedAt), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		HeldReason: orZero(r.HeldReason), QueuePosition: r.QueuePosition, MissingSince: orZero(r.MissingSince),
		Delivery: orders.Delivery{
			CourierID: orZero(r.CourierID), CourierName: orZero(r.CourierName), WaitingSince: orZero(r.WaitingSince), AssignedAt: orZero(r.AssignedAt),
			Deadline: orZero(r.Deadline), CompletedAt: orZero(r.CompletedAt), Overdue: r.Overdue,
		},
	}
	if r.RecheckAt != nil {
		o.Recheck = orders.Recheck{At: *r.RecheckAt, Reason: orZero(r.RecheckReason), Attempts: r.RecheckAttempts, Error: orZero(r.RecheckError)}
	}
	return o
}

// listing is how one list is read.
type listing struct {
	sql   string
	start orders.PageKey                   // before the first order
	args  func(after orders.PageKey) []any // of the statement, without the limit
}

// A list is sorted by a key that is unique, or by a key and the order id.
var listings = map[orders.List]listing{
	orders.All:            byUniqueKey(ordersFirst, `true`, `o.order_id`, `text`, ``),
	orders.Active:         mostUrgentFirst(),
	orders.Waiting:        byUniqueKey(waitingFirst, `true`, `o.queue_position`, `bigint`, leastBigint),
	orders.Assigned:       oldestFirst(deadlinesFirst, `true`, `d.deadline`),
	orders.Overdue:        oldestFirst(deliveriesFirst, `d.completed_at IS NULL AND d.deadline >= '-infinity' AND d.deadline < now()`, `d.deadline`),
	orders.PendingRecheck: oldestFirst(ordersFirst, `o.recheck_at IS NOT NULL`, `o.recheck_at`),
	orders.Missing:        missing(`o.state IN ('waiting', 'assigned', 'held')`),
	orders.Held:           oldestFirst(ordersFirst, `o.state = 'held'`, `o.updated_at`),
	orders.Completed:      latestFirst(ordersFirst, `o.state = 'completed'`, `o.updated_at`),
	orders.Cancelled:      latestFirst(ordersFirst, `o.state = 'cancelled'`, `o.updated_at`),
}

func init() {
	for _, list := range []orders.List{orders.Waiting, orders.Assigned, orders.Held} {
		of, _ := list.MissingOnly()
		listings[of] = missing(`o.state = '` + string(list) + `'`)
	}
}

func missing(where string) listing {
	return oldestFirst(ordersFirst, `o.missing_since IS NOT NULL AND `+where, `o.missing_since`)
}

func byUniqueKey(from, where, key, typ, start string) listing {
	return newListing(from, where, key, typ, ">", key, start)
}

func oldestFirst(from, where, key string) listing {
	return newListing(from, where, key, "timestamptz", ">", key+", o.order_id", "-infinity")
}

// latestFirst begins after every id of the time infinity, which another program may have
// written.
func latestFirst(from, where, key string) listing {
	l := newListing(from, where, key, "timestamptz", "<", key+" DESC, o.order_id DESC", "infinity")
	l.start.OrderID = lastOrderID
	return l
}

const (
	leastBigint = "-9223372036854775808"
	// lastOrderID is after every order id, and none itself.
	lastOrderID courier.OrderID = "\U0010ffff"
)

func newListing(from, where, key, typ, after, order, start string) listing {
	fill := strings.NewReplacer("{columns}", orderColumns, "{from}", from, "{where}", where,
		"{key}", key, "{type}", typ, "{after}", after, "{order}", order)
	args := func(after orders.PageKey) []any { return []any{after.Key, after.OrderID} }
	return listing{fill.Replace(ordersPage), orders.PageKey{Key: start}, args}
}

// queueSection is the section of orders_active.sql that is sorted by queue position, the
// others by time.
const queueSection = "3"

// mostUrgentFirst is the list of active orders. Its key is a section and the key in it.
func mostUrgentFirst() listing {
	args := func(after orders.PageKey) []any {
		section, key, _ := strings.Cut(after.Key, " ")
		if section == queueSection {
			return []any{section, "-infinity", key, after.OrderID}
		}
		return []any{section, key, leastBigint, after.OrderID}
	}
	return listing{strings.Replace(ordersActive, "{columns}", orderColumns, 1), orders.PageKey{Key: "0 -infinity"}, args}
}

// Page implements orders.Store.
func (v *OrderViews) Page(ctx context.Context, list orders.List, after orders.PageKey, limit int) ([]orders.Listed, error) {
	l, known := listings[list]
	if !known {
		return nil, fmt.Errorf("unknown list of orders %q", list)
	}
	if after == (orders.PageKey{}) {
		after = l.start
	}
	rows, err := query(ctx, v.pool, pgx.RowToStructByName[orderRow], "list orders", l.sql, append(l.args(after), limit)...)
	if errors.Is(orRefused(err), orderevent.ErrRefused) { // the key is not of the list's type
		return nil, orders.ErrBadPageKey
	}
	page := make([]orders.Listed, len(rows))
	for i, r := range rows {
		page[i] = orders.Listed{Order: r.order(), PageKey: orders.PageKey{Key: r.PageKey, OrderID: r.OrderID}}
	}
	return page, err
}

// Get implements orders.Store.
func (v *OrderViews) Get(ctx context.Context, id courier.OrderID) (orders.Order, error) {
	row, err := queryRow(ctx, v.pool, pgx.RowToStructByNameLax[orderRow], "read order",
		`SELECT `+orderColumns+` FROM `+ordersFirst+` WHERE o.order_id = $1`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = courier.ErrOrderUnknown
	}
	return row.order(), err
}

// QueuePlace implements orders.Store.
func (v *OrderViews) QueuePlace(ctx context.Context, id courier.OrderID) (orders.QueuePlace, error) {
	return queryRow(ctx, v.pool, pgx.RowToStructByName[orders.QueuePlace], "read the waiting queue", queuePlace, id)
}

// timelineLength bounds a timeline: an order has a handful of transitions, unless clients
// unassign and assign it for hours. Then the latest ones matter.
const timelineLength = 1000

// Timeline implements orders.Store. It sorts by an expression, so that the planner does not
// read the whole journal in the order of its primary key.
func (v *OrderViews) Timeline(ctx context.Context, id courier.OrderID) ([]orders.TimelineEntry, error) {
	entries, err := query(ctx, v.pool, pgx.RowToStructByName[orders.TimelineEntry], "read the timeline", `
		SELECT at, state, source, reason, coalesce(courier_id, 0) AS courier_id,
			coalesce((SELECT name FROM couriers WHERE id = j.courier_id), '') AS courier, coalesce(deadline, '0001-01-01Z') AS deadline
		FROM journal j WHERE order_number = (SELECT number FROM orders WHERE order_id = $1) AND order_id = $1 ORDER BY id + 0 DESC LIMIT $2`, id, timelineLength)
	slices.Reverse(entries)
	return entries, err
}
