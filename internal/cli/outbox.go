package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/cli/output"
	"service-courier/internal/config"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/outbox"
)

// outboxState is the position of the outbox as JSON.
type outboxState struct {
	PublishedID *int64     `json:"published_id"` // null: it has never run
	Pending     int64      `json:"pending"`
	OldestAt    *time.Time `json:"oldest_at"`
}

var outboxColumns = []output.Column{
	{Title: "published up to", Path: "published_id"},
	{Title: "pending", Path: "pending"},
	{Title: "oldest pending", Path: "oldest_at", Show: output.Clock},
}

// ShowOutbox prints the position of the outbox.
func ShowOutbox(ctx context.Context, w output.Writer) error {
	return withOutbox(ctx, func(pool *pgxpool.Pool) error {
		var s outboxState
		store := postgres.NewOutbox(pool)
		id, ok, err := store.Position(ctx)
		if err != nil {
			return err
		}
		lag, err := store.Lag(ctx)
		if err != nil {
			return err
		}
		if ok {
			s.PublishedID = &id
		}
		if s.Pending = lag.Pending; lag.Pending > 0 {
			s.OldestAt = &lag.OldestAt
		}
		document, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode JSON: %w", err)
		}
		return w.Item(document, outboxColumns)
	})
}

// PublishSince lets the outbox publish every transition since then, again if it was
// published before. With skip it may leave out transitions that are not published yet.
func PublishSince(ctx context.Context, since time.Time, skip bool, out io.Writer) error {
	return withOutbox(ctx, func(pool *pgxpool.Pool) error {
		store := postgres.NewOutbox(pool)
		err := outbox.PublishSince(ctx, postgres.NewJournal(pool), store, store, since, skip)
		if errors.Is(err, outbox.ErrSkips) {
			return fmt.Errorf("%w: wait until they are, give an earlier time, or leave them out with --skip", err)
		}
		if err != nil {
			return err
		}
		lag, err := store.Lag(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "the outbox publishes what happens since %s; transitions pending: %d%s\n", since.UTC().Format(time.RFC3339), lag.Pending, oldest(lag))
		return nil
	})
}

func oldest(lag outbox.Lag) string {
	if lag.Pending == 0 {
		return ""
	}
	return ", the oldest of " + output.Clock(lag.OldestAt.Format(time.RFC3339))
}

// outboxConns: one reads while no other is needed.
const outboxConns = 2

func withOutbox(ctx context.Context, do func(*pgxpool.Pool) error) error {
	url, err := config.LoadDatabaseURL()
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, url, outboxConns)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := postgres.CheckSchema(ctx, pool); err != nil {
		return postgres.ExplainError(err)
	}
	return postgres.ExplainError(do(pool))
}
