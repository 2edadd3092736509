package livefeed

import (
	"context"
	"time"

	"service-courier/internal/courier"
)

// Change is one applied transition, with whom it concerns as they are now.
type Change struct {
	Cursor
	At          time.Time
	OrderID     courier.OrderID
	What        courier.State // the state that the order reached
	Source      string        // partition@offset, or the worker or person that caused it
	Reason      string
	CourierID   int64 // 0 when none is concerned
	CourierName string
	Transport   courier.Transport
	Deadline    time.Time     // of the delivery that began; zero when it did not, or is undone by now
	Now         courier.State // the state the order has by now
}

// Journal is the record of all changes.
type Journal interface {
	// After returns at most limit changes after the cursor, and the cursor to go on
	// from. Whoever goes on from there is told every change once: changes that one
	// of a transaction still running could come before are left for later. Fewer
	// than limit are all there are.
	After(ctx context.Context, from Cursor, limit int) ([]Change, Cursor, error)
	// End returns the cursor behind everything that After could tell now.
	End(ctx context.Context) (Cursor, error)
	// Latest returns the cursor of the change that the given number of changes
	// follow before end, or that of the oldest there is; end when there is none.
	Latest(ctx context.Context, end Cursor, changes int) (Cursor, error)
}

// readPage is how many changes are read at a time.
const readPage = 500

// Reader follows the journal. It is for one goroutine.
type Reader struct {
	journal Journal
	at      Cursor
}

// NewReader returns a Reader that goes on behind from.
func NewReader(journal Journal, from Cursor) *Reader { return &Reader{journal, from} }

// At is the cursor behind which Read goes on.
func (r *Reader) At() Cursor { return r.at }

// Read calls each for every change that can be told by now, a page at a time.
// After an error the next Read goes on behind the last page that was told.
func (r *Reader) Read(ctx context.Context, each func(Change)) error {
	for {
		page, next, err := r.journal.After(ctx, r.at, readPage)
		if err != nil {
			return err
		}
		for _, c := range page {
			each(c)
		}
		r.at = next
		if len(page) < readPage {
			return nil
		}
	}
}
