package postgres

import (
	"context"
	_ "embed" // for the statement
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

//go:embed sql/orders_page.sql
var ordersPage string

// OrderViews reads orders for people.
type OrderViews struct{ pool *pgxpool.Pool }

var _ orders.Store = (*OrderViews)(nil)

// NewOrderViews returns the orders of pool's database.
func NewOrderViews(pool *pgxpool.Pool) *OrderViews { return &OrderViews{pool} }

// listing is how one list is read.
type listing struct {
	sql   string
	start string // the key before the first one
}

const (
	orderColumns = `o.order_id, o.state, o.order_created_at, o.created_at, o.updated_at, o.held_reason, o.missing_since,
		o.look_due_at, o.look_reason, o.look_count + o.look_failures, o.look_error,
		d.courier_id, d.waiting_since, d.assigned_at, d.deadline, d.completed_at, coalesce(coalesce(d.completed_at, now()) > d.deadline, false)`
	ordersFirst     = `orders o LEFT JOIN courier_orders d USING (order_id)`
	deliveriesFirst = `courier_orders d JOIN orders o USING (order_id)`
)

// A list goes by its key, or by the key and then the id where several orders may
// have one.
var listings = map[orders.List]listing{
	orders.All:       oneByOne(ordersFirst, `true`, `o.order_id`, `text`, ``),
	orders.Waiting:   oneByOne(ordersFirst, `o.state = 'waiting' AND o.missing_since IS NULL`, `o.place`, `bigint`, `-1`),
	orders.Assigned:  oneByOne(deliveriesFirst, `d.completed_at IS NULL`, `d.courier_id`, `bigint`, `-1`),
	orders.Late:      earliestFirst(deliveriesFirst, `d.completed_at IS NULL AND d.deadline > '-infinity' AND d.deadline < now()`, `d.deadline`),
	orders.Looking:   earliestFirst(ordersFirst, `o.look_due_at IS NOT NULL`, `o.look_due_at`),
	orders.Missing:   earliestFirst(ordersFirst, `o.missing_since IS NOT NULL AND o.state IN ('waiting', 'assigned', 'held')`, `o.missing_since`),
	orders.Held:      earliestFirst(ordersFirst, `o.state = 'held'`, `o.updated_at`),
	orders.Completed: latestFirst(ordersFirst, `o.state = 'completed'`, `o.updated_at`),
	orders.Cancelled: latestFirst(ordersFirst, `o.state = 'cancelled'`, `o.updated_at`),
}

func oneByOne(from, where, key, typ, lowest string) listing {
	return newListing(from, where, key, typ, ">", key, lowest)
}

func earliestFirst(from, where, key string) listing {
	return newListing(from, where, key, "timestamptz", ">", key+", o.order_id", "-infinity")
}

func latestFirst(from, where, key string) listing {
	return newListing(from, where, key, "timestamptz", "<", key+" DESC, o.order_id DESC", "infinity")
}

func newListing(from, where, key, typ, beyond, order, start string) listing {
	fill := strings.NewReplacer("{columns}", orderColumns, "{from}", from, "{where}", where,
		"{key}", key, "{type}", typ, "{beyond}", beyond, "{order}", order)
	return listing{fill.Replace(ordersPage), start}
}

// Page implements orders.Store.
func (v *OrderViews) Page(ctx context.Context, list orders.List, after orders.Position, limit int) ([]orders.Listed, error) {
	l, known := listings[list]
	if !known {
		return nil, fmt.Errorf("no list of orders is called %q", list)
	}
	if after == (orders.Position{}) {
		after.Key = l.start
	}
	rows, err := v.pool.Query(ctx, l.sql, after.Key, after.OrderID, limit)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", orUnavailable(err))
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (listed orders.Listed, err error) {
		listed.Order, err = scanOrder(row, &listed.Position.Key)
		listed.Position.OrderID = listed.OrderID
		return listed, err
	})
	if errors.Is(orRefused(err), orderevent.ErrRefused) { // the key is none
		return nil, orders.ErrBadPosition
	}
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", orUnavailable(err))
	}
	return page, nil
}

// Get implements orders.Store.
func (v *OrderViews) Get(ctx context.Context, id courier.OrderID) (orders.Order, error) {
	row := v.pool.QueryRow(ctx, `SELECT `+orderColumns+` FROM `+ordersFirst+` WHERE o.order_id = $1`, id)
	o, err := scanOrder(row)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, courier.ErrOrderUnknown
	}
	if err != nil {
		return o, fmt.Errorf("get order: %w", orUnavailable(err))
	}
	return o, nil
}

// timelineLength bounds a timeline: an order has a handful of events, unless people
// gave it back and forth for hours. Then what it came to is more than how it began.
const timelineLength = 1000

// Timeline implements orders.Store.
func (v *OrderViews) Timeline(ctx context.Context, id courier.OrderID) ([]orders.Event, error) {
	rows, err := v.pool.Query(ctx, `SELECT at, what, source, reason, coalesce(courier_id, 0), deadline
		FROM journal WHERE order_id = $1 ORDER BY id DESC LIMIT $2`, id, timelineLength)
	if err != nil {
		return nil, fmt.Errorf("read the timeline: %w", orUnavailable(err))
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e orders.Event, err error) {
		var deadline *time.Time
		err = row.Scan(&e.At, &e.State, &e.Source, &e.Reason, &e.CourierID, &deadline)
		e.Deadline = orZero(deadline)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the timeline: %w", orUnavailable(err))
	}
	slices.Reverse(events)
	return events, nil
}

// scanOrder reads orderColumns and what more there is behind them.
func scanOrder(row pgx.Row, more ...any) (o orders.Order, err error) {
	var (
		orderCreated, missing, due, waiting, assigned, deadline, completed *time.Time
		held, reason, lookError                                            *string
		courierID                                                          *int64
	)
	err = row.Scan(append([]any{
		&o.OrderID, &o.State, &orderCreated, &o.CreatedAt, &o.UpdatedAt, &held, &missing,
		&due, &reason, &o.Look.Attempts, &lookError,
		&courierID, &waiting, &assigned, &deadline, &completed, &o.Delivery.Late,
	}, more...)...)
	if err != nil {
		return o, err
	}
	o.OrderCreatedAt, o.HeldReason, o.MissingSince = orZero(orderCreated), orZero(held), orZero(missing)
	if due == nil {
		o.Look.Attempts = 0
	}
	o.Look.DueAt, o.Look.Reason, o.Look.Error = orZero(due), orderevent.Reason(orZero(reason)), orZero(lookError)
	o.Delivery.CourierID, o.Delivery.WaitingSince = orZero(courierID), orZero(waiting)
	o.Delivery.AssignedAt, o.Delivery.Deadline, o.Delivery.CompletedAt = orZero(assigned), orZero(deadline), orZero(completed)
	return o, nil
}
