package deadletters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
)

// Letters works with the letters of a store.
type Letters struct{ store Store }

// New returns the letters of store.
func New(store Store) *Letters { return &Letters{store} }

// List returns the first letters of a filter, at most limit, and how many there
// are in all.
func (u *Letters) List(ctx context.Context, f Filter, limit int) (heads []Head, total int, err error) {
	last, err := u.store.Last(ctx)
	if err != nil {
		return nil, 0, err
	}
	if total, err = u.store.Count(ctx, f); err != nil {
		return nil, 0, err
	}
	heads, err = u.store.Page(ctx, f, 0, last, limit)
	return heads, total, err
}

// Page returns at most limit letters of a filter with an id above after, lowest
// first.
func (u *Letters) Page(ctx context.Context, f Filter, after int64, limit int) ([]Head, error) {
	return u.store.Page(ctx, f, after, math.MaxInt64, limit)
}

// Show returns one letter, or ErrNotFound.
func (u *Letters) Show(ctx context.Context, id int64) (Letter, error) {
	return u.store.Get(ctx, id)
}

// Edit gives a waiting letter the payload that change returns for the present
// one, and reports whether it differs. The record's own payload is kept beside
// it, and its rounds are counted anew.
func (u *Letters) Edit(ctx context.Context, id int64, change func([]byte) ([]byte, error)) (payload []byte, changed bool, err error) {
	letter, err := u.store.Get(ctx, id)
	if err != nil {
		return nil, false, err
	}
	if letter.Status != Waiting {
		return nil, false, fmt.Errorf("%w: it was %s", ErrHandled, letter.Status)
	}
	payload, err = change(bytes.Clone(letter.Payload))
	if err != nil || bytes.Equal(payload, letter.Payload) {
		return letter.Payload, false, err
	}
	return payload, true, u.store.Edit(ctx, letter, payload)
}

// pageSize is how many letters are known ahead. Each is read whole only when its
// turn comes: a payload may be a megabyte.
const pageSize = 200

// Each calls do with every letter of a filter, whole, in the order of ids, until
// do fails.
func (u *Letters) Each(ctx context.Context, f Filter, do func(Letter) error) error {
	return u.eachID(ctx, f, func(id int64) error {
		letter, err := u.store.Get(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return nil // purged meanwhile
		}
		if err != nil {
			return err
		}
		return do(letter)
	})
}

// eachID calls do with the ids of the letters that are there now. One that comes
// meanwhile is left for another time: it may be a redriven record that is bad
// again, and following it would run its rounds out at once.
func (u *Letters) eachID(ctx context.Context, f Filter, do func(id int64) error) error {
	last, err := u.store.Last(ctx)
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		heads, err := u.store.Page(ctx, f, after, last, pageSize)
		if err != nil {
			return err
		}
		for _, h := range heads {
			if err := do(h.ID); err != nil {
				return err
			}
			after = h.ID
		}
		if len(heads) < pageSize {
			return nil
		}
	}
}
