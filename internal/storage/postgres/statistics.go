package postgres

import (
	"context"
	_ "embed" // for the statements
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/statistics"
)

var (
	//go:embed sql/statistics_daily.sql
	statisticsDaily string
	//go:embed sql/statistics_courier.sql
	statisticsCourier string
	//go:embed sql/statistics_couriers.sql
	statisticsCouriers string
)

// Statistics counts the deliveries that the triggers on courier_orders note, and reads the
// figures.
type Statistics struct{ pool *pgxpool.Pool }

var _ statistics.Store = (*Statistics)(nil)

// NewStatistics returns the statistics of pool's database.
func NewStatistics(pool *pgxpool.Pool) *Statistics { return &Statistics{pool} }

// Count adds all noted deliveries to the figures, in transactions of a limited size.
func (s *Statistics) Count(ctx context.Context) error {
	for {
		const limit = 100_000 // of count_deliveries
		counted, err := queryRow(ctx, s.pool, pgx.RowTo[int64], "count deliveries", "SELECT count_deliveries()")
		if err != nil || counted < limit {
			return err
		}
	}
}

// read returns figures of this moment: it counts what is noted first. A row of another
// program that cannot be added to breaks no answer.
func read[T any](ctx context.Context, s *Statistics, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	err := s.Count(ctx)
	if pg, ok := errors.AsType[*pgconn.PgError](err); err != nil && (!ok || sqlstateClass(pg.Code) != "22") {
		return nil, err
	}
	return query(ctx, s.pool, scan, "read statistics", sql, args...)
}

// Days implements statistics.Store.
func (s *Statistics) Days(ctx context.Context, p statistics.Period) ([]statistics.Day, error) {
	return read(ctx, s, rowToDay, statisticsDaily, p.From, p.To)
}

// Courier implements statistics.Store.
func (s *Statistics) Courier(ctx context.Context, id int64, p statistics.Period) ([]statistics.Day, error) {
	days, err := read(ctx, s, rowToDay, statisticsCourier, id, p.From, p.To)
	if err != nil || len(days) > 0 {
		return days, err
	}
	known, err := queryRow(ctx, s.pool, pgx.RowTo[bool], "find courier", `SELECT EXISTS (SELECT FROM couriers WHERE id = $1)`, id)
	if err == nil && !known {
		err = courier.ErrNotFound
	}
	return nil, err
}

// Couriers implements statistics.Store.
func (s *Statistics) Couriers(ctx context.Context, p statistics.Period, after int64, limit int) ([]statistics.CourierFigures, error) {
	return read(ctx, s, rowToCourierFigures, statisticsCouriers, p.From, p.To, after, limit)
}

// figuresRow is a row of the statements, which have either a day or a courier.
type figuresRow struct {
	Day          time.Time
	CourierID    int64
	CourierName  string
	Deliveries   float64
	Overdue      float64
	DeliveryTime float64
	Waits        float64
	WaitingTime  float64
	Histogram    string
}

func (r figuresRow) figures() statistics.Figures {
	return statistics.Figures{
		Deliveries: count(r.Deliveries), Overdue: count(r.Overdue), Waits: count(r.Waits),
		DeliveryTime: clamp(r.DeliveryTime), WaitingTime: clamp(r.WaitingTime), Histogram: unpackHistogram(r.Histogram),
	}
}

// mostFigure is beyond any count or sum of seconds that is true: another program may have
// written more, or infinity, which JSON cannot express.
const mostFigure = 1e15

func clamp(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return min(max(v, -mostFigure), mostFigure)
}

func count(v float64) int64 { return int64(clamp(v)) }

func rowToDay(row pgx.CollectableRow) (d statistics.Day, err error) {
	r, err := pgx.RowToStructByNameLax[figuresRow](row)
	if err == nil {
		d.Day, d.Figures = r.Day, r.figures()
	}
	return d, err
}

func rowToCourierFigures(row pgx.CollectableRow) (c statistics.CourierFigures, err error) {
	r, err := pgx.RowToStructByNameLax[figuresRow](row)
	if err == nil {
		c.CourierID, c.CourierName, c.Figures = r.CourierID, r.CourierName, r.figures()
	}
	return c, err
}

// bucketDigits is the number of decimal digits of a bucket in the number that holds a
// histogram; the lowest bucket comes last.
const bucketDigits = 9

// unpackHistogram returns an empty histogram for what is none.
func unpackHistogram(number string) (h statistics.Histogram) {
	for i := range h {
		from := max(len(number)-bucketDigits, 0)
		if from == len(number) {
			break
		}
		n, err := strconv.ParseUint(number[from:], 10, 32)
		if err != nil {
			return statistics.Histogram{}
		}
		h[i], number = int64(n), number[:from]
	}
	return h
}
