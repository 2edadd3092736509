package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
)

const (
	feedEvery = 200 * time.Millisecond
	feedPage  = 200
)

// feed tells a person what the service did, a line each: it follows the
// journal, as any reader of it could.
type feed struct {
	out     io.Writer
	pool    *pgxpool.Pool
	journal *postgres.Journal
	letters *postgres.DeadLetters
	cursor  postgres.Cursor
	letter  int64 // id of the last dead letter told
}

// newFeed starts at the end of what has happened.
func newFeed(ctx context.Context, url string, out io.Writer) (*feed, error) {
	pool, err := postgres.Open(url, 1)
	if err != nil {
		return nil, err
	}
	f := &feed{out: out, pool: pool, journal: postgres.NewJournal(pool), letters: postgres.NewDeadLetters(pool)}
	f.cursor, err = f.journal.End(ctx)
	if err == nil {
		f.letter, err = f.letters.Last(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return f, nil
}

// run tells until ctx ends, and then what the last batch did.
func (f *feed) run(ctx context.Context) {
	defer f.pool.Close()
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := errors.Join(f.tellJournal(ctx), f.tellLetters(ctx))
		if err != nil && ctx.Err() == nil && !failing {
			fmt.Fprintln(f.out, "the feed cannot read the database for now:", err)
		}
		failing = err != nil
	}
}

func (f *feed) tellJournal(ctx context.Context) error {
	entries, err := f.journal.After(ctx, f.cursor, feedPage)
	if err != nil {
		return err
	}
	for _, e := range entries {
		f.cursor = e.Cursor
		if line := tell(e); line != "" {
			fmt.Fprintf(f.out, "%s  %-9s  %s  %s\n", e.At.Local().Format(time.TimeOnly), e.What, e.OrderID, line)
		}
	}
	return nil
}

// tell words an entry; "" for one that is not worth a line.
func tell(e postgres.Entry) string {
	who := fmt.Sprintf("%s (courier %d, %s)", e.CourierName, e.CourierID, e.Transport)
	switch {
	case e.What == courier.StateAssigned:
		return "to " + who
	case e.What == courier.StateWaiting && e.Now == courier.StateWaiting:
		return "no courier is free: it stands in line"
	case e.What != courier.StateCompleted && e.What != courier.StateCancelled:
		return ""
	case e.CourierID == 0:
		return "had no courier"
	default:
		return who + " is free again"
	}
}

func (f *feed) tellLetters(ctx context.Context) error {
	letters, err := f.letters.After(ctx, f.letter, feedPage)
	if err != nil {
		return err
	}
	for _, l := range letters {
		f.letter = l.ID
		fmt.Fprintf(f.out, "%s  dead letter %d: %s at %s %d@%d (%s)\n",
			l.CreatedAt.Local().Format(time.TimeOnly), l.ID, l.Reason, l.Topic, l.Partition, l.Offset, l.Detail)
	}
	return nil
}
