package postgres

import (
	"context"
	_ "embed" // for the statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/orderevent"
)

var (
	//go:embed sql/dead_letters_insert.sql
	deadLettersInsert string
	//go:embed sql/dead_letters_page.sql
	deadLettersPage string
	//go:embed sql/dead_letters_purge.sql
	deadLettersPurge string
)

// previewBytes is how much of a payload a list shows.
const previewBytes = 80

// queueDeadLetters inserts dead letters in the transaction of their batch, so that none
// is lost and none is doubled.
func queueDeadLetters(batch *pgx.Batch, deadLetters []orderevent.DeadLetter, effects *orderevent.Effects) {
	for _, l := range deadLetters {
		keys, values := make([][]byte, len(l.Headers)), make([][]byte, len(l.Headers))
		for i, h := range l.Headers {
			keys[i], values[i] = h.Key, h.Value
		}
		batch.Queue(deadLettersInsert, text(l.Topic), l.Partition, l.Offset, courier.ClampTime(l.ProducedAt),
			l.Key, l.Payload, keys, values, l.Reason, text(l.Detail), deadletters.CountRedrives(l.Headers),
		).Exec(func(tag pgconn.CommandTag) error {
			effects.DeadLetters += int(tag.RowsAffected())
			return nil
		})
	}
}

// DeadLetters reads and changes dead letters. Only Orders inserts them.
type DeadLetters struct{ pool *pgxpool.Pool }

var _ deadletters.Store = (*DeadLetters)(nil)

// NewDeadLetters returns the dead letters in pool's database.
func NewDeadLetters(pool *pgxpool.Pool) *DeadLetters { return &DeadLetters{pool} }

// Last implements deadletters.Store.
func (d *DeadLetters) Last(ctx context.Context) (int64, error) {
	return queryRow(ctx, d.pool, pgx.RowTo[int64], "read the last dead letter", "SELECT coalesce(max(id), 0) FROM dead_letters")
}

// Count implements deadletters.Store.
func (d *DeadLetters) Count(ctx context.Context, f deadletters.Filter) (int, error) {
	return queryRow(ctx, d.pool, pgx.RowTo[int], "count dead letters", `
		SELECT count(*) FROM dead_letters
		WHERE (status <> 'pending') = $1 AND ($2 = '' OR reason::text = $2)`, f.Handled, f.Reason)
}

// Page implements deadletters.Store.
func (d *DeadLetters) Page(ctx context.Context, f deadletters.Filter, after, upTo int64, limit int) ([]deadletters.Summary, error) {
	return query(ctx, d.pool, pgx.RowToStructByName[deadletters.Summary], "list dead letters",
		deadLettersPage, f.Handled, f.Reason, after, upTo, limit, previewBytes)
}

// deadLetterRow is a row of dead_letters.
type deadLetterRow struct {
	ID                       int64
	Topic                    string
	Partition                int32
	Offset                   int64
	ProducedAt, CreatedAt    time.Time
	Reason, Detail           string
	Key, Payload, Original   []byte
	HeaderKeys, HeaderValues [][]byte
	Redrives                 int
	Status                   deadletters.Status
	HandledAt, EditedAt      *time.Time
}

// Get implements deadletters.Store.
func (d *DeadLetters) Get(ctx context.Context, id int64) (deadletters.DeadLetter, error) {
	r, err := queryRow(ctx, d.pool, pgx.RowToStructByName[deadLetterRow], "read dead letter", `
		SELECT id, topic, partition, "offset", produced_at, created_at, reason, detail, key, payload AS original,
		       CASE WHEN edited_at IS NULL THEN payload ELSE edited_payload END AS payload,
		       header_keys, header_values, redrives, status, handled_at, edited_at
		FROM dead_letters WHERE id = $1`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = deadletters.ErrNotFound
	}
	l := deadletters.DeadLetter{
		ID: r.ID, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, ProducedAt: r.ProducedAt, CreatedAt: r.CreatedAt,
		Reason: r.Reason, Detail: r.Detail, Key: r.Key, Payload: r.Payload, Original: r.Original,
		Redrives: r.Redrives, Status: r.Status, HandledAt: orZero(r.HandledAt), EditedAt: orZero(r.EditedAt),
	}
	for i, key := range r.HeaderKeys {
		l.Headers = append(l.Headers, deadletters.Header{Key: key, Value: r.HeaderValues[i]})
	}
	return l, err
}

// Edit implements deadletters.Store.
func (d *DeadLetters) Edit(ctx context.Context, l deadletters.DeadLetter, payload []byte) error {
	return d.change(ctx, l, `edited_payload = $3, edited_at = clock_timestamp(), redrives = 0`, payload)
}

// Mark implements deadletters.Store.
func (d *DeadLetters) Mark(ctx context.Context, l deadletters.DeadLetter, as deadletters.Status) error {
	return d.change(ctx, l, `status = $3, handled_at = now()`, as)
}

// change updates l if it is pending and has not been edited since it was read.
func (d *DeadLetters) change(ctx context.Context, l deadletters.DeadLetter, set string, value any) error {
	tag, err := d.pool.Exec(ctx, `
		UPDATE dead_letters SET `+set+`
		WHERE id = $1 AND status = 'pending' AND edited_at IS NOT DISTINCT FROM $2`, l.ID, orNull(l.EditedAt), value)
	if err != nil {
		return fmt.Errorf("change dead letter %d: %w", l.ID, orUnavailable(err))
	}
	if tag.RowsAffected() == 0 {
		return deadletters.ErrChanged
	}
	return nil
}

// Purge implements deadletters.Store.
func (d *DeadLetters) Purge(ctx context.Context, age time.Duration, limit int) (int, error) {
	tag, err := d.pool.Exec(ctx, deadLettersPurge, age, limit)
	if err != nil {
		return 0, fmt.Errorf("purge dead letters: %w", orUnavailable(err))
	}
	return int(tag.RowsAffected()), nil
}
