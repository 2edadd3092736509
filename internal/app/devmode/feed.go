package devmode

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/livefeed"
)

const (
	feedEvery      = 200 * time.Millisecond
	feedTimeout    = 2 * time.Second // of one read
	deadLetterPage = 200
)

// feed prints what the service does: it reads the journal and the dead letters.
type feed struct {
	pool           *pgxpool.Pool
	journal        *livefeed.Reader
	deadLetters    *postgres.DeadLetters
	lastDeadLetter int64
	failing        bool // the last read failed, which was printed
	logged         bool // the log of the service is printed too, and has each outage

	quit chan struct{}
	done chan struct{} // nil before start
}

// newFeed starts at the end of the journal. logged means that the log of the service is
// printed too.
func newFeed(ctx context.Context, url string, logged bool) (*feed, error) {
	pool, err := postgres.Open(ctx, url, 1)
	if err != nil {
		return nil, err
	}
	f := &feed{pool: pool, deadLetters: postgres.NewDeadLetters(pool), logged: logged, quit: make(chan struct{})}
	f.journal, err = livefeed.BeginReader(ctx, postgres.NewJournal(pool), 0)
	if err == nil {
		f.lastDeadLetter, err = f.deadLetters.Last(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return f, nil
}

// start prints until stop. It ignores the end of ctx, since the last batch is saved later.
func (f *feed) start(ctx context.Context, out io.Writer) {
	f.done = make(chan struct{})
	go f.run(context.WithoutCancel(ctx), out)
}

// stop prints the rest and ends the feed.
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
		f.print(ctx, out)
		select {
		case <-tick.C:
		case <-f.quit:
			f.print(ctx, out)
			return
		}
	}
}

func (f *feed) print(ctx context.Context, out io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	err := f.printChanges(ctx, out)
	if err == nil {
		err = f.printDeadLetters(ctx, out)
	}
	f.report(out, err)
}

// report prints one line per outage of the database, unless the log has it.
func (f *feed) report(out io.Writer, err error) {
	if err != nil && !f.failing && !f.logged {
		fmt.Fprintln(out, "reading the database failed, retrying:", strings.Join(strings.Fields(err.Error()), " "))
	}
	f.failing = err != nil
}

func (f *feed) printChanges(ctx context.Context, out io.Writer) error {
	return f.journal.Read(ctx, 0, func(c livefeed.Change) {
		if line := changeLine(c); line != "" && c.CourierChange == "" {
			fmt.Fprintln(out, line)
		}
	})
}

func (f *feed) printDeadLetters(ctx context.Context, out io.Writer) error {
	for {
		page, err := f.deadLetters.Page(ctx, deadletters.Filter{}, f.lastDeadLetter, math.MaxInt64, deadLetterPage)
		if err != nil {
			return err
		}
		for _, d := range page {
			f.lastDeadLetter = d.ID
			fmt.Fprintln(out, deadLetterLine(d))
		}
		if len(page) < deadLetterPage {
			return nil
		}
	}
}

// feedLine shows ids in full, since users copy them. With a UUID and a clipped name
// a line has at most 104 columns.
func feedLine(at time.Time, state, subject, detail string) string {
	return fmt.Sprintf("%s  %-11s  %-36s  %s", at.Local().Format(time.TimeOnly), state, subject, detail)
}

// changeLine describes a change of an order; "" for one not worth a line.
func changeLine(c livefeed.Change) string {
	detail := ""
	switch {
	case c.State == courier.StateAssigned:
		detail = "to " + courierOf(c)
	case c.State == courier.StateWaiting && c.CurrentState == courier.StateWaiting:
		detail = "for a free courier"
	case c.State == courier.StateHeld && c.CourierID != 0:
		detail = "unassigned from " + courierOf(c)
	case c.State == courier.StateCompleted && c.CourierID != 0:
		detail = "by " + courierOf(c)
	case c.State == courier.StateCancelled && c.CourierID != 0:
		detail = "freed " + courierOf(c)
	case c.State == courier.StateCompleted || c.State == courier.StateCancelled:
		detail = "without a courier"
	default:
		return ""
	}
	return feedLine(c.At, string(c.State), string(c.OrderID), detail)
}

func courierOf(c livefeed.Change) string {
	transport := strings.ReplaceAll(string(c.Transport), "_", " ")
	return fmt.Sprintf("%s (courier %d, %s)", clip(c.CourierName), c.CourierID, transport)
}

func deadLetterLine(d deadletters.Summary) string {
	return feedLine(d.CreatedAt, "dead letter", fmt.Sprintf("partition %d, offset %d", d.Partition, d.Offset),
		fmt.Sprintf("%s; psql: table dead_letters", d.Reason))
}

const nameColumns = 12

// clip shortens a name and removes terminal control codes.
func clip(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, name))
	if len(runes) <= nameColumns {
		return string(runes)
	}
	return string(runes[:nameColumns-1]) + "…"
}
