package postgres

import (
	"context"
	_ "embed" // for the statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/usecase/deadletters"
)

var (
	//go:embed sql/dead_letters_page.sql
	deadLettersPage string
	//go:embed sql/dead_letters_purge.sql
	deadLettersPurge string
)

// headBytes is how much of a payload a list shows.
const headBytes = 80

// Count implements deadletters.Store.
func (d *DeadLetters) Count(ctx context.Context, f deadletters.Filter) (n int, err error) {
	err = d.pool.QueryRow(ctx, `
		SELECT count(*) FROM dead_letters
		WHERE (status <> 'waiting') = $1 AND ($2 = '' OR reason = $2)`, f.Handled, f.Reason).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the dead letters: %w", orUnavailable(err))
	}
	return n, nil
}

// Page implements deadletters.Store.
func (d *DeadLetters) Page(ctx context.Context, f deadletters.Filter, after, upTo int64, limit int) ([]deadletters.Head, error) {
	rows, err := d.pool.Query(ctx, deadLettersPage, f.Handled, f.Reason, after, upTo, limit, headBytes)
	if err != nil {
		return nil, fmt.Errorf("list the dead letters: %w", orUnavailable(err))
	}
	heads, err := pgx.CollectRows(rows, pgx.RowToStructByPos[deadletters.Head])
	if err != nil {
		return nil, fmt.Errorf("list the dead letters: %w", orUnavailable(err))
	}
	return heads, nil
}

// Get implements deadletters.Store.
func (d *DeadLetters) Get(ctx context.Context, id int64) (deadletters.Letter, error) {
	var (
		l               deadletters.Letter
		keys, values    [][]byte
		handled, edited *time.Time
	)
	err := d.pool.QueryRow(ctx, `
		SELECT id, topic, partition, "offset", produced_at, created_at, reason, detail, key, payload,
		       CASE WHEN edited_at IS NULL THEN payload ELSE edited_payload END,
		       header_keys, header_values, redrives, status, handled_at, edited_at
		FROM dead_letters WHERE id = $1`, id).Scan(
		&l.ID, &l.Topic, &l.Partition, &l.Offset, &l.ProducedAt, &l.CreatedAt, &l.Reason, &l.Detail, &l.Key, &l.Original,
		&l.Payload, &keys, &values, &l.Rounds, &l.Status, &handled, &edited)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, deadletters.ErrNotFound
	}
	if err != nil {
		return l, fmt.Errorf("read dead letter %d: %w", id, orUnavailable(err))
	}
	for i := range keys {
		l.Headers = append(l.Headers, deadletters.Header{Key: keys[i], Value: values[i]})
	}
	l.HandledAt, l.EditedAt = orZero(handled), orZero(edited)
	return l, nil
}

// Edit implements deadletters.Store.
func (d *DeadLetters) Edit(ctx context.Context, l deadletters.Letter, payload []byte) error {
	return d.change(ctx, l, `edited_payload = $3, edited_at = clock_timestamp(), redrives = 0`, payload)
}

// Mark implements deadletters.Store.
func (d *DeadLetters) Mark(ctx context.Context, l deadletters.Letter, as deadletters.Status) error {
	return d.change(ctx, l, `status = $3, handled_at = now()`, as)
}

// change updates l if it still waits and nobody has edited it since it was read.
func (d *DeadLetters) change(ctx context.Context, l deadletters.Letter, set string, value any) error {
	var edited *time.Time
	if !l.EditedAt.IsZero() {
		edited = &l.EditedAt
	}
	tag, err := d.pool.Exec(ctx, `
		UPDATE dead_letters SET `+set+`
		WHERE id = $1 AND status = 'waiting' AND edited_at IS NOT DISTINCT FROM $2`, l.ID, edited, value)
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
		return 0, fmt.Errorf("remove dead letters handled long ago: %w", orUnavailable(err))
	}
	return int(tag.RowsAffected()), nil
}
