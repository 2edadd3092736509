package livefeed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	readPage     = 500                   // changes that are read at a time
	beginEvery   = 10 * time.Millisecond // between two attempts to begin
	blockedAfter = 10 * time.Second      // the service's own writers end earlier, unless they hang
)

// ErrReplaced means that the journal has another epoch than the reader's position.
var ErrReplaced = errors.New("the journal was replaced: the database was restored, failed over or truncated")

// Reader follows the journal and skips no change, in whatever order transactions commit.
// It passes an id when its change is visible, or when the id is settled: every
// transaction that may have taken it has ended, so a change that is missing now will
// never appear. It is for one goroutine.
type Reader struct {
	journal Journal
	at      Cursor
	settled int64      // every id up to here is settled
	pending *unsettled // nil when nothing waits for writers

	blockedSince time.Time // since when Read has made no progress because of writers; or zero
}

// unsettled are the ids up to last. They are settled when all of the writers have ended:
// these were read after last, so each open transaction that took one of the ids is among
// them.
type unsettled struct {
	last    int64
	writers []Writer
}

// NewReader returns a Reader that starts after a position of another Reader.
func NewReader(journal Journal, from Cursor) *Reader {
	return &Reader{journal: journal, at: from, settled: from.ID}
}

// BeginReader returns a Reader that starts the given number of changes before the end.
// It waits until the transactions that write the journal now have ended.
func BeginReader(ctx context.Context, journal Journal, changes int) (*Reader, error) {
	r := &Reader{journal: journal, settled: -1}
	for {
		end, err := journal.End(ctx)
		if err != nil {
			return nil, err
		}
		if err := r.settle(ctx, end.ID); err != nil {
			return nil, err
		}
		if r.settled >= 0 {
			r.at = Cursor{end.Epoch, r.settled}
			break
		}
		select {
		case <-time.After(beginEvery):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", blockedBy(r.pending.writers), ctx.Err())
		}
	}
	if changes == 0 {
		return r, nil
	}
	var err error
	r.at.ID, err = journal.Before(ctx, r.at.ID, changes)
	return r, err
}

// At is the cursor after which Read continues.
func (r *Reader) At() Cursor { return r.at }

// Read calls each for every change up to now, by id, but at most limit times; 0 is no
// limit. The error is ErrReplaced when the position is not one of this journal.
func (r *Reader) Read(ctx context.Context, limit int, each func(Change)) error {
	if limit == 0 {
		limit = math.MaxInt
	}
	end, err := r.journal.End(ctx)
	switch {
	case err != nil:
		return err
	case end.Epoch != r.at.Epoch, end.ID < r.at.ID:
		return ErrReplaced
	}
	began := r.at.ID
	if r.at.ID < end.ID {
		limit, err = r.advance(ctx, limit, each)
	}
	if err == nil && limit > 0 && r.at.ID < end.ID { // an id is missing
		if err = r.settle(ctx, end.ID); err == nil && r.settled > r.at.ID {
			_, err = r.advance(ctx, limit, each)
		}
	}
	if err == nil {
		r.noteBlocked(r.at.ID == began && r.at.ID < end.ID)
	}
	return err
}

// advance passes visible changes and settled ids, up to the first id that is neither, and
// returns how many of the limit are left.
func (r *Reader) advance(ctx context.Context, limit int, each func(Change)) (left int, err error) {
	for limit > 0 {
		size := min(limit, readPage)
		page, err := r.journal.After(ctx, r.at.ID, size)
		if err != nil {
			return limit, err
		}
		passed := 0
		for _, c := range page {
			if c.ID > max(r.at.ID, r.settled)+1 {
				break
			}
			each(c)
			r.at.ID = c.ID
			passed++
		}
		limit -= passed
		if passed < size {
			r.at.ID = max(r.at.ID, r.settled)
			break
		}
	}
	return limit, nil
}

// settle reads the writers, and raises settled: to end, which was read before, when there
// are none, else to the pending ids when their writers have all ended. The changes have
// to be read after that.
func (r *Reader) settle(ctx context.Context, end int64) error {
	writers, err := r.journal.Writers(ctx)
	switch {
	case err != nil:
		return err
	case len(writers) == 0:
		r.settled, r.pending = end, nil
	case r.pending == nil:
		r.pending = &unsettled{end, writers}
	case !r.pending.anyIn(writers):
		r.settled, r.pending = max(r.settled, r.pending.last), &unsettled{end, writers}
	}
	return nil
}

// anyIn reports whether one of the ids' writers may be among the given ones. A
// transaction that is prepared gets another name, so a prepared one counts as one of them.
func (u *unsettled) anyIn(writers []Writer) bool {
	return slices.ContainsFunc(writers, func(w Writer) bool { return w.PID == 0 || slices.Contains(u.writers, w) })
}

func (r *Reader) noteBlocked(blocked bool) {
	switch {
	case !blocked || r.pending == nil:
		r.blockedSince = time.Time{}
	case r.blockedSince.IsZero():
		r.blockedSince = time.Now()
	}
}

// Blocked returns an error that names a writer, when Read has waited for writers for
// longer than a transaction of the service lasts.
func (r *Reader) Blocked() error {
	if r.blockedSince.IsZero() || time.Since(r.blockedSince) < blockedAfter {
		return nil
	}
	return fmt.Errorf("%w, for %v", blockedBy(r.pending.writers), time.Since(r.blockedSince).Round(time.Second))
}

func blockedBy(writers []Writer) error {
	w := writers[0]
	if w.PID == 0 {
		return fmt.Errorf("the journal is blocked by %d open transactions, among them the prepared transaction %s", len(writers), w.Transaction)
	}
	return fmt.Errorf("the journal is blocked by %d open transactions, among them %s of server process %d", len(writers), w.Transaction, w.PID)
}
