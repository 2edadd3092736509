// Package couriers is the use case of keeping the couriers: who they are, not
// what they carry. It must not know SQL or HTTP, and never makes anybody busy:
// only an order does, in orderevent's match.
package couriers

import (
	"context"
	"errors"
	"strings"

	"service-courier/internal/courier"
)

// Store keeps couriers. Those who were deleted are there for the history alone:
// no method finds them. Where the storage cannot be asked, its errors match
// courier.ErrUnavailable.
type Store interface {
	// Insert adds a courier and returns the id he was given (c.ID is ignored);
	// courier.ErrPhoneTaken when another one has the phone.
	Insert(ctx context.Context, c courier.Courier) (int64, error)
	// Get returns one courier, or courier.ErrNotFound.
	Get(ctx context.Context, id int64) (courier.Courier, error)
	// ByPhone returns the courier with the phone, or courier.ErrNotFound.
	ByPhone(ctx context.Context, phone string) (courier.Courier, error)
	// List returns every courier in the order of their ids.
	List(ctx context.Context) ([]courier.Courier, error)
	// Page returns at most limit couriers that the filter takes, whose ids are
	// above after, in the order of their ids.
	Page(ctx context.Context, f Filter, after int64, limit int) ([]courier.Courier, error)
	// Change locks a courier, asks decide what he is to become, and keeps that:
	// name, phone, status, transport and whether he pauses after his delivery. It
	// returns him as he is then; decide's error, courier.ErrNotFound, or
	// courier.ErrPhoneTaken.
	Change(ctx context.Context, id int64, decide Decide) (courier.Courier, error)
	// Delete locks a courier, asks allow whether he may go, and if it returns nil
	// lets nobody but the history find him; allow's error, or courier.ErrNotFound.
	Delete(ctx context.Context, id int64, allow func(courier.Courier) error) error
}

// Decide says what a courier, locked as he is, becomes. It may be called more
// than once.
type Decide func(courier.Courier) (courier.Courier, error)

// Filter chooses couriers; an empty field takes all.
type Filter struct {
	Status    courier.Status
	Transport courier.Transport
}

// Couriers registers, shows and changes couriers.
type Couriers struct {
	store Store
	wake  func()
}

// New returns the couriers kept in store. It calls wake, which must not block,
// after somebody became available, so that an order in line gets him at once.
func New(store Store, wake func()) *Couriers { return &Couriers{store, wake} }

// Register adds a courier and returns his id. A missing status means available;
// spaces around name and phone do not count. The error matches
// courier.ErrInvalidCourier, naming every bad field, courier.ErrBusyByHand,
// courier.ErrPhoneTaken, or is the storage's.
func (u *Couriers) Register(ctx context.Context, c courier.Courier) (int64, error) {
	c = tidy(c)
	if c.Status == "" {
		c.Status = courier.StatusAvailable
	}
	if c.Status == courier.StatusBusy {
		return 0, courier.ErrBusyByHand
	}
	if err := c.Validate(); err != nil {
		return 0, err
	}
	id, err := u.store.Insert(ctx, c)
	if err != nil {
		return 0, err
	}
	if c.Status == courier.StatusAvailable {
		u.wake()
	}
	return id, nil
}

// Ensure registers a courier, or returns the one who has the phone already when
// name and transport are the same: then the caller asks a second time, having
// missed the first answer. What happened to the courier since does not matter.
func (u *Couriers) Ensure(ctx context.Context, c courier.Courier) (is courier.Courier, created bool, err error) {
	id, err := u.Register(ctx, c)
	switch {
	case errors.Is(err, courier.ErrPhoneTaken):
		c = tidy(c)
		is, err = u.store.ByPhone(ctx, c.Phone)
		if err != nil || is.Name != c.Name || is.Transport != c.Transport {
			return courier.Courier{}, false, errors.Join(courier.ErrPhoneTaken, unlessNotFound(err))
		}
		return is, false, nil
	case err != nil:
		return courier.Courier{}, false, err
	}
	is, err = u.store.Get(ctx, id)
	return is, true, err
}

// unlessNotFound drops the error that says that somebody deleted him meanwhile.
func unlessNotFound(err error) error {
	if errors.Is(err, courier.ErrNotFound) {
		return nil
	}
	return err
}

func tidy(c courier.Courier) courier.Courier {
	c.Name, c.Phone = strings.TrimSpace(c.Name), strings.TrimSpace(c.Phone)
	return c
}

// Get returns one courier, or courier.ErrNotFound.
func (u *Couriers) Get(ctx context.Context, id int64) (courier.Courier, error) {
	return u.store.Get(ctx, id)
}

// List returns every courier in the order of their ids.
func (u *Couriers) List(ctx context.Context) ([]courier.Courier, error) {
	return u.store.List(ctx)
}

// Page returns at most limit couriers that the filter takes, whose ids are above
// after, in the order of their ids.
func (u *Couriers) Page(ctx context.Context, f Filter, after int64, limit int) ([]courier.Courier, error) {
	return u.store.Page(ctx, f, after, limit)
}
