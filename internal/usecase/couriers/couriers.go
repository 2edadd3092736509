// Package couriers is the use case of keeping the couriers: who they are, not
// what they carry. It must not know SQL or HTTP, and never makes anybody busy:
// only an order does, in orderevent's match.
package couriers

import (
	"context"
	"strings"

	"service-courier/internal/courier"
)

// Store keeps couriers. Where the storage cannot be asked, its errors match
// courier.ErrUnavailable.
type Store interface {
	// Insert adds a courier and returns the id it was given (c.ID is ignored);
	// courier.ErrPhoneTaken when another one has the phone.
	Insert(ctx context.Context, c courier.Courier) (int64, error)
	// Get returns one courier, or courier.ErrNotFound.
	Get(ctx context.Context, id int64) (courier.Courier, error)
	// List returns every courier in the order of their ids.
	List(ctx context.Context) ([]courier.Courier, error)
}

// Couriers registers and shows couriers.
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
	c.Name, c.Phone = strings.TrimSpace(c.Name), strings.TrimSpace(c.Phone)
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

// Get returns one courier, or courier.ErrNotFound.
func (u *Couriers) Get(ctx context.Context, id int64) (courier.Courier, error) {
	return u.store.Get(ctx, id)
}

// List returns every courier in the order of their ids.
func (u *Couriers) List(ctx context.Context) ([]courier.Courier, error) {
	return u.store.List(ctx)
}
