package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
)

const (
	feedEvery  = 200 * time.Millisecond
	letterPage = 200
	tellWithin = 2 * time.Second
)

// feed tells a person what the service did, a line each: it follows the
// journal, as any reader of it could.
type feed struct {
	pool    *pgxpool.Pool
	journal *livefeed.Reader
	letters *postgres.DeadLetters
	letter  int64 // id of the last dead letter told
	failing bool  // it was told that the database cannot be read

	quit chan struct{}
	done chan struct{} // nil before start
}

// newFeed stands at the end of what has happened by now.
func newFeed(ctx context.Context, url string) (*feed, error) {
	pool, err := postgres.Open(ctx, url, 1)
	if err != nil {
		return nil, err
	}
	f := &feed{pool: pool, letters: postgres.NewDeadLetters(pool), quit: make(chan struct{})}
	journal := postgres.NewJournal(pool)
	end, err := journal.End(ctx)
	if err == nil {
		f.journal = livefeed.NewReader(journal, end)
		f.letter, err = f.letters.Last(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return f, nil
}

// start tells from where newFeed stood, until stop: the end of ctx is too early
// for what the last batch does.
func (f *feed) start(ctx context.Context, out io.Writer) {
	f.done = make(chan struct{})
	go f.run(context.WithoutCancel(ctx), out)
}

// stop tells what was still to tell and ends the feed.
func (f *feed) stop(context.Context) error {
	if f.done != nil {
		close(f.quit)
		<-f.done
	}
	f.pool.Close()
	return nil
}

func (f *feed) run(ctx context.Context, out io.Writer) {
	defer close(f.done)
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	for {
		f.tell(ctx, out)
		select {
		case <-tick.C:
		case <-f.quit:
			f.tell(ctx, out)
			return
		}
	}
}

// tell says once that the database cannot be read, however long it lasts.
func (f *feed) tell(ctx context.Context, out io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	err := errors.Join(f.tellJournal(ctx, out), f.tellLetters(ctx, out))
	if err != nil && !f.failing {
		fmt.Fprintln(out, "these lines cannot be read from the database for now:", err)
	}
	f.failing = err != nil
}

func (f *feed) tellJournal(ctx context.Context, out io.Writer) error {
	return f.journal.Read(ctx, func(c livefeed.Change) {
		if line := changeLine(c); line != "" {
			fmt.Fprintln(out, line)
		}
	})
}

func (f *feed) tellLetters(ctx context.Context, out io.Writer) error {
	for {
		letters, err := f.letters.After(ctx, f.letter, letterPage)
		if err != nil {
			return err
		}
		for _, l := range letters {
			f.letter = l.ID
			fmt.Fprintln(out, letterLine(l))
		}
		if len(letters) < letterPage {
			return nil
		}
	}
}
