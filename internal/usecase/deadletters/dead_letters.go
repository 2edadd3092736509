package deadletters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// DeadLetters handles the dead letters of a store.
type DeadLetters struct{ store Store }

// New returns the dead letters of store.
func New(store Store) *DeadLetters { return &DeadLetters{store} }

// List returns the first dead letters of a filter, at most limit, and how many there
// are in total.
func (u *DeadLetters) List(ctx context.Context, f Filter, limit int) (page []Summary, total int, err error) {
	last, err := u.store.Last(ctx)
	if err != nil {
		return nil, 0, err
	}
	if total, err = u.store.Count(ctx, f); err != nil {
		return nil, 0, err
	}
	page, err = u.store.Page(ctx, f, 0, last, limit)
	return page, total, err
}

// Page returns at most limit dead letters of a filter with an id above after, lowest
// first.
func (u *DeadLetters) Page(ctx context.Context, f Filter, after int64, limit int) ([]Summary, error) {
	return u.store.Page(ctx, f, after, math.MaxInt64, limit)
}

// Get returns one dead letter, or ErrNotFound.
func (u *DeadLetters) Get(ctx context.Context, id int64) (DeadLetter, error) {
	return u.store.Get(ctx, id)
}

// Edit replaces the payload of a pending dead letter by what change returns for the
// current one, and reports whether it differs. The original payload is kept, and the
// redrives are reset.
func (u *DeadLetters) Edit(ctx context.Context, id int64, change func([]byte) ([]byte, error)) (payload []byte, changed bool, err error) {
	deadLetter, err := u.pending(ctx, id)
	if err != nil {
		return nil, false, err
	}
	payload, err = change(bytes.Clone(deadLetter.Payload))
	if err != nil || bytes.Equal(payload, deadLetter.Payload) {
		return deadLetter.Payload, false, err
	}
	return payload, true, u.store.Edit(ctx, deadLetter, payload)
}

// Each calls do with every dead letter of a filter by id, until do fails.
func (u *DeadLetters) Each(ctx context.Context, f Filter, do func(DeadLetter) error) error {
	return u.eachID(ctx, f, func(id int64) error {
		deadLetter, err := u.store.Get(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return nil // purged meanwhile
		}
		if err != nil {
			return err
		}
		return do(deadLetter)
	})
}

// pageSize is how many ids are read ahead. A payload, which may be a megabyte, is read
// only when it is needed.
const pageSize = 200

// eachID calls do with the ids that exist now. Later ones are left out: they may be
// redriven records that failed again, and redriving them at once would use up their
// redrives.
func (u *DeadLetters) eachID(ctx context.Context, f Filter, do func(id int64) error) error {
	last, err := u.store.Last(ctx)
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		page, err := u.store.Page(ctx, f, after, last, pageSize)
		if err != nil {
			return err
		}
		for _, s := range page {
			if err := do(s.ID); err != nil {
				return err
			}
			after = s.ID
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// pending returns a dead letter that is not yet handled.
func (u *DeadLetters) pending(ctx context.Context, id int64) (DeadLetter, error) {
	deadLetter, err := u.store.Get(ctx, id)
	if err == nil && deadLetter.Status != Pending {
		err = fmt.Errorf("%w: it was %s", ErrHandled, deadLetter.Status)
	}
	return deadLetter, err
}

// redrivable returns a pending dead letter that has a record, and was not redriven too
// often.
func (u *DeadLetters) redrivable(ctx context.Context, id int64) (DeadLetter, error) {
	deadLetter, err := u.pending(ctx, id)
	switch {
	case err != nil:
	case deadLetter.Redrives >= MaxRedrives:
		err = fmt.Errorf("%w (%d times)", ErrRedriveLimit, deadLetter.Redrives)
	case deadLetter.Reason == Undecodable && deadLetter.Payload == nil:
		err = ErrNoRecord
	}
	return deadLetter, err
}

// Discard marks one dead letter as discarded: its record is never processed. The error
// matches ErrNotFound, ErrHandled or ErrChanged, or is the store's.
func (u *DeadLetters) Discard(ctx context.Context, id int64) error {
	deadLetter, err := u.pending(ctx, id)
	if err != nil {
		return err
	}
	return u.store.Mark(ctx, deadLetter, Discarded)
}

// Redrive publishes the record of one dead letter to the order topic again and returns
// its position. The error matches ErrNotFound, ErrHandled, ErrChanged, ErrRedriveLimit,
// ErrNoRecord or ErrNotPublished (and perhaps ErrForbidden), or is the store's.
func (u *DeadLetters) Redrive(ctx context.Context, id int64, to Publisher) (RecordPosition, error) {
	deadLetter, err := u.redrivable(ctx, id)
	if err != nil {
		return RecordPosition{}, err
	}
	return u.redrive(ctx, deadLetter, to)
}

// markTimeout limits marking a redriven dead letter, which also happens when the
// caller has disconnected.
const markTimeout = 5 * time.Second

// redrive publishes the record, and marks the dead letter once it is acknowledged.
func (u *DeadLetters) redrive(ctx context.Context, l DeadLetter, to Publisher) (RecordPosition, error) {
	at, err := to.Publish(ctx, l.record())
	if err != nil {
		return at, fmt.Errorf("%w: %w", ErrNotPublished, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTimeout)
	defer cancel()
	if err := u.store.Mark(ctx, l, Redriven); err != nil {
		return at, fmt.Errorf("the record is published at %d@%d, but the dead letter is still pending (redriving it again is safe): %w",
			at.Partition, at.Offset, err)
	}
	return at, nil
}

// purgeBatch is small, so that locks are held only briefly.
const purgeBatch = 500

// Purge deletes the dead letters that were handled longer ago than KeepHandled, and
// returns how many.
func (u *DeadLetters) Purge(ctx context.Context) (removed int, err error) {
	for {
		n, err := u.store.Purge(ctx, KeepHandled, purgeBatch)
		removed += n
		if err != nil || n < purgeBatch {
			return removed, err
		}
	}
}
