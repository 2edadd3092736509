package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/statistics"
)

var (
	//go:embed sql/statistics_fleet.sql
	statisticsFleet string
	//go:embed sql/statistics_courier.sql
	statisticsCourier string
	//go:embed sql/statistics_couriers.sql
	statisticsCouriers string
)

// Statistics reads what the triggers on courier_orders have counted.
type Statistics struct{ pool *pgxpool.Pool }

var _ statistics.Store = (*Statistics)(nil)

// NewStatistics returns the statistics of pool's database.
func NewStatistics(pool *pgxpool.Pool) *Statistics { return &Statistics{pool} }

// Fleet implements statistics.Store.
func (s *Statistics) Fleet(ctx context.Context, p statistics.Period) ([]statistics.Day, error) {
	return s.days(ctx, statisticsFleet, p.From, p.To)
}

// Courier implements statistics.Store.
func (s *Statistics) Courier(ctx context.Context, id int64, p statistics.Period) ([]statistics.Day, error) {
	days, err := s.days(ctx, statisticsCourier, id, p.From, p.To)
	if err != nil || len(days) > 0 {
		return days, err
	}
	var known bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM couriers WHERE id = $1)`, id).Scan(&known); err != nil {
		return nil, fmt.Errorf("find courier: %w", orUnavailable(err))
	}
	if !known {
		return nil, courier.ErrNotFound
	}
	return nil, nil
}

// Couriers implements statistics.Store.
func (s *Statistics) Couriers(ctx context.Context, p statistics.Period, after int64, limit int) ([]statistics.OfCourier, error) {
	rows, err := s.pool.Query(ctx, statisticsCouriers, p.From, p.To, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", orUnavailable(err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c statistics.OfCourier, err error) {
		return c, scanFigures(row, &c.CourierID, &c.Figures)
	})
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", orUnavailable(err))
	}
	return all, nil
}

func (s *Statistics) days(ctx context.Context, sql string, args ...any) ([]statistics.Day, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", orUnavailable(err))
	}
	days, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d statistics.Day, err error) {
		return d, scanFigures(row, &d.Day, &d.Figures)
	})
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", orUnavailable(err))
	}
	return days, nil
}

func scanFigures(row pgx.CollectableRow, key any, f *statistics.Figures) (err error) {
	var histogram string
	if err := row.Scan(key, &f.Deliveries, &f.Late, &f.DeliveryTime, &f.Waits, &f.WaitingTime, &histogram); err != nil {
		return err
	}
	f.Histogram, err = unpackHistogram(histogram)
	return err
}

// bucketDigits is how many decimal digits a bucket has in the number that holds
// a histogram; the lowest bucket comes last.
const bucketDigits = 9

func unpackHistogram(number string) (h statistics.Histogram, err error) {
	for i := range h {
		from := max(len(number)-bucketDigits, 0)
		if from == len(number) {
			break
		}
		if h[i], err = strconv.ParseInt(number[from:], 10, 64); err != nil {
			return h, fmt.Errorf("histogram: %w", err)
		}
		number = number[:from]
	}
	return h, nil
}
