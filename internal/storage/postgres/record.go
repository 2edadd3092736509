package postgres

import (
	"context"
	_ "embed" // for the statement

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/records"
)

//go:embed sql/records_fates.sql
var recordsFates string

// Records knows what became of the records of a topic.
type Records struct {
	pool  *pgxpool.Pool
	topic string
}

var _ records.Store = (*Records)(nil)

// NewRecords returns the records of a topic in pool's database.
func NewRecords(pool *pgxpool.Pool, topic string) *Records { return &Records{pool, topic} }

// Fates implements records.Store.
func (r *Records) Fates(ctx context.Context, all []records.Record, orders []courier.OrderID) ([]records.Fate, error) {
	partitions, offsets := make([]int32, len(all)), make([]int64, len(all))
	for i, one := range all {
		partitions[i], offsets[i] = one.Partition, one.Offset
	}
	return query(ctx, r.pool, pgx.RowToStructByName[records.Fate], "read what became of records", recordsFates, partitions, offsets, orders, r.topic)
}
