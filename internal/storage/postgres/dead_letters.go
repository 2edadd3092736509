package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/orderevent"
)

//go:embed sql/dead_letters_insert.sql
var deadLettersInsert string

// queueLetters adds the letters to the batch's own transaction: none is lost
// and none doubled, whatever becomes of the batch.
func queueLetters(batch *pgx.Batch, letters []orderevent.DeadLetter, saved *orderevent.Saved) {
	for _, l := range letters {
		keys, values := make([][]byte, len(l.Headers)), make([][]byte, len(l.Headers))
		headers := make([]deadletters.Header, len(l.Headers))
		for i, h := range l.Headers {
			keys[i], values[i] = h.Key, h.Value
			headers[i] = deadletters.Header(h)
		}
		batch.Queue(deadLettersInsert, text(l.Topic), l.Partition, l.Offset, timestamp(l.ProducedAt),
			l.Key, l.Payload, keys, values, l.Reason, text(l.Detail), deadletters.Rounds(headers),
		).Exec(func(tag pgconn.CommandTag) error {
			saved.Letters += int(tag.RowsAffected())
			return nil
		})
	}
}

// DeadLetters keeps the records that could never be processed. Only a batch
// adds to them; what is done with them by hand is in dead_letters_handle.go.
type DeadLetters struct{ pool *pgxpool.Pool }

var _ deadletters.Store = (*DeadLetters)(nil)

// NewDeadLetters returns the dead letters in pool's database.
func NewDeadLetters(pool *pgxpool.Pool) *DeadLetters { return &DeadLetters{pool} }

// DeadLetter is a kept letter, without its bytes.
type DeadLetter struct {
	ID        int64
	Topic     string
	Partition int32
	Offset    int64
	Reason    string
	Detail    string
	CreatedAt time.Time
}

// Last implements deadletters.Store.
func (d *DeadLetters) Last(ctx context.Context) (id int64, err error) {
	err = d.pool.QueryRow(ctx, "SELECT coalesce(max(id), 0) FROM dead_letters").Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("last dead letter: %w", err)
	}
	return id, nil
}

// After returns at most limit letters with a higher id, lowest first.
func (d *DeadLetters) After(ctx context.Context, id int64, limit int) ([]DeadLetter, error) {
	rows, err := d.pool.Query(ctx, `
		SELECT id, topic, partition, "offset", reason, detail, created_at
		FROM dead_letters WHERE id > $1 ORDER BY id LIMIT $2`, id, limit)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	letters, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DeadLetter])
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return letters, nil
}

// timestamp brings a time that a producer made up into what PostgreSQL takes.
func timestamp(t time.Time) time.Time {
	first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	switch {
	case t.Before(first):
		return first
	case t.After(last):
		return last
	}
	return t
}
