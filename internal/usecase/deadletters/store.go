package deadletters

import (
	"context"
	"errors"
	"time"
)

// Store keeps the letters.
type Store interface {
	// Last returns the highest id there is; 0 when there are no letters.
	Last(ctx context.Context) (int64, error)
	// Count counts the letters of a Filter.
	Count(ctx context.Context, f Filter) (int, error)
	// Page returns at most limit letters of a Filter with after < id <= upTo,
	// lowest first.
	Page(ctx context.Context, f Filter, after, upTo int64, limit int) ([]Head, error)
	// Get returns one letter whole, or ErrNotFound.
	Get(ctx context.Context, id int64) (Letter, error)
	// Edit gives l another payload and a new count of rounds; ErrChanged unless
	// it waits as it was when read.
	Edit(ctx context.Context, l Letter, payload []byte) error
	// Mark says that l was handled; ErrChanged unless it waits as it was when read.
	Mark(ctx context.Context, l Letter, as Status) error
	// Purge removes at most limit letters that were handled longer ago than age.
	Purge(ctx context.Context, age time.Duration, limit int) (int, error)
}

// Publisher sends records to the order topic.
type Publisher interface {
	// Publish returns when every in-sync replica has the record, or an error
	// that says why that is not known.
	Publish(ctx context.Context, r Record) (Position, error)
}

// Record is what is published.
type Record struct {
	Key, Payload []byte
	Headers      []Header
}

// Position is where a record is in its topic.
type Position struct {
	Partition int32
	Offset    int64
}

// Filter chooses letters by what they are.
type Filter struct {
	Reason  string // empty: any
	Handled bool   // those handled, instead of those waiting
}

// Selection chooses the letters that a command handles: exactly one of its
// fields is set, so that forgetting to choose never means all.
type Selection struct {
	IDs    []int64
	Reason string
	All    bool
}

// Validate says when the selection is none, or more than one.
func (s Selection) Validate() error {
	ways := 0
	for _, chosen := range []bool{len(s.IDs) > 0, s.Reason != "", s.All} {
		if chosen {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("choose the letters: by their ids, by --reason, or --all of them; exactly one of these")
	}
	return nil
}
