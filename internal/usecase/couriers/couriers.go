// Package couriers is the use case of registering, reading and changing couriers. It
// knows no SQL and no HTTP, and never makes a courier busy: only an assignment does.
package couriers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"service-courier/internal/courier"
)

// Reader reads couriers. Deleted ones are not found.
type Reader interface {
	// Get returns one courier, or courier.ErrNotFound.
	Get(ctx context.Context, id int64) (courier.Courier, error)
	// Page returns at most limit couriers of a filter with an id above after, by id.
	Page(ctx context.Context, f Filter, after int64, limit int) ([]courier.Courier, error)
}

// Store stores couriers. Its errors match courier.ErrUnavailable when the storage is
// unavailable.
type Store interface {
	Reader
	// Insert adds a courier and returns the new id (c.ID is ignored), or
	// courier.ErrPhoneRegistered.
	Insert(ctx context.Context, c courier.Courier) (int64, error)
	// ByPhone returns the courier with the phone, or courier.ErrNotFound.
	ByPhone(ctx context.Context, phone string) (courier.Courier, error)
	// Change locks a courier and saves what decide returns: name, phone, status, transport
	// and PauseAfter. It returns the courier, decide's error, courier.ErrNotFound or
	// courier.ErrPhoneRegistered.
	Change(ctx context.Context, id int64, decide Decide) (courier.Courier, error)
	// Delete locks a courier and, if allow returns nil, deletes it from everything but the
	// history. It returns allow's error or courier.ErrNotFound.
	Delete(ctx context.Context, id int64, allow func(courier.Courier) error) error
	// History returns the courier's transitions between two times, from included, and their
	// open delivery.
	History(ctx context.Context, id int64, from, to time.Time) (History, error)
}

// Phones normalizes phone numbers; phone.Reader implements it.
type Phones interface {
	// Normalize returns the number in E.164, or why the text is not a phone number.
	Normalize(text string) (string, error)
}

// Decide returns what a locked courier becomes. It may be called more than once.
type Decide func(courier.Courier) (courier.Courier, error)

// Filter selects couriers; an empty field selects all.
type Filter struct {
	Status    courier.Status
	Transport courier.Transport
}

// Couriers registers, reads and changes couriers.
type Couriers struct {
	Reader

	store   Store
	phones  Phones
	trigger func()
}

// New returns the couriers of store, whose phones are normalized by phones. It calls
// trigger, which must not block, after a courier became available, so that a waiting
// order is assigned at once.
func New(store Store, phones Phones, trigger func()) *Couriers {
	return &Couriers{store, store, phones, trigger}
}

// Register adds a courier and returns the id. The default status is available; spaces
// around the name are removed, and the phone is normalized. The error matches
// courier.ErrInvalidCourier, ErrInvalidPhone, ErrBusyNotSettable or ErrPhoneRegistered,
// or is the storage's.
func (u *Couriers) Register(ctx context.Context, c courier.Courier) (int64, error) {
	c, err := u.normalize(c)
	if err != nil {
		return 0, err
	}
	id, err := u.register(ctx, c)
	if errors.Is(err, courier.ErrPhoneRegistered) {
		err = registeredBy(u.store.ByPhone(ctx, c.Phone))
	}
	return id, err
}

func (u *Couriers) register(ctx context.Context, c courier.Courier) (int64, error) {
	if c.Status == "" {
		c.Status = courier.StatusAvailable
	}
	if c.Status == courier.StatusBusy {
		return 0, courier.ErrBusyNotSettable
	}
	if err := c.Validate(); err != nil {
		return 0, err
	}
	id, err := u.store.Insert(ctx, c)
	if err != nil {
		return 0, err
	}
	if c.Status == courier.StatusAvailable {
		u.trigger()
	}
	return id, nil
}

// Ensure is Register made safe to repeat: a courier registered with the same phone,
// name and transport is returned as they are now.
func (u *Couriers) Ensure(ctx context.Context, c courier.Courier) (registered courier.Courier, created bool, err error) {
	c, err = u.normalize(c)
	if err != nil {
		return courier.Courier{}, false, err
	}
	id, err := u.register(ctx, c)
	switch {
	case errors.Is(err, courier.ErrPhoneRegistered):
		registered, err = u.store.ByPhone(ctx, c.Phone)
		if err == nil && registered.Name == c.Name && registered.Transport == c.Transport {
			return registered, false, nil
		}
		return courier.Courier{}, false, registeredBy(registered, err)
	case err != nil:
		return courier.Courier{}, false, err
	}
	registered, err = u.Get(ctx, id)
	return registered, true, err
}

// registeredBy refuses a phone that a courier has, which was read with the error err.
func registeredBy(c courier.Courier, err error) error {
	switch {
	case err == nil:
		return courier.Explain(courier.ErrPhoneRegistered, "courier %d has it", c.ID)
	case errors.Is(err, courier.ErrNotFound): // deleted meanwhile
		return courier.ErrPhoneRegistered
	}
	return errors.Join(courier.ErrPhoneRegistered, err)
}

// busyWith refuses to change a courier with an open delivery.
func busyWith(c courier.Courier) error {
	return courier.Explain(courier.ErrBusy, "order %s", c.OrderID)
}

func (u *Couriers) normalize(c courier.Courier) (courier.Courier, error) {
	c.Name = strings.TrimSpace(c.Name)
	err := u.normalizePhone(&c.Phone)
	return c, err
}

func (u *Couriers) normalizePhone(text *string) error {
	number, err := u.phones.Normalize(*text)
	if err != nil {
		return fmt.Errorf("%w: %w", courier.ErrInvalidPhone, err)
	}
	*text = number
	return nil
}

// Fields are the fields of a change; nil leaves one as it is.
type Fields struct {
	Name, Phone *string
	Status      *courier.Status
	Transport   *courier.Transport
}

// Expect returns courier.ErrChanged unless the courier is in the state that the caller
// expects. A nil Expect accepts any.
type Expect func(courier.Courier) error

// Change changes fields of a courier. It makes no courier busy, and no busy courier
// available or paused. The deadline of an open delivery stays when the transport changes.
// The error matches courier.ErrBusyNotSettable, ErrBusy, ErrInvalidCourier,
// ErrInvalidPhone, ErrPhoneRegistered, ErrNotFound or that of expect.
func (u *Couriers) Change(ctx context.Context, id int64, f Fields, expect Expect) (courier.Courier, error) {
	if f.Phone != nil {
		number := *f.Phone
		if err := u.normalizePhone(&number); err != nil {
			return courier.Courier{}, err
		}
		f.Phone = &number
	}
	changed, err := u.change(ctx, id, expect, func(c courier.Courier) (courier.Courier, error) {
		was := c.Status
		set(&c.Name, f.Name)
		set(&c.Phone, f.Phone)
		set(&c.Status, f.Status)
		set(&c.Transport, f.Transport)
		c.Name = strings.TrimSpace(c.Name)
		switch {
		case c.Status == was:
		case c.Status == courier.StatusBusy:
			return c, courier.ErrBusyNotSettable
		case was == courier.StatusBusy:
			return c, busyWith(c)
		}
		return c, c.Validate()
	})
	if errors.Is(err, courier.ErrPhoneRegistered) && f.Phone != nil {
		err = registeredBy(u.store.ByPhone(ctx, *f.Phone))
	}
	return changed, err
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// Pause pauses a courier, who then gets no orders. A busy courier is paused only with
// afterDelivery, when the open delivery ends; otherwise the error is courier.ErrBusy.
func (u *Couriers) Pause(ctx context.Context, id int64, afterDelivery bool, expect Expect) (courier.Courier, error) {
	return u.change(ctx, id, expect, func(c courier.Courier) (courier.Courier, error) {
		switch {
		case c.Status != courier.StatusBusy:
			c.Status = courier.StatusPaused
		case c.PauseAfter || afterDelivery:
			c.PauseAfter = true
		default:
			return c, busyWith(c)
		}
		return c, nil
	})
}

// Resume makes a paused courier available, and cancels a pause after the delivery.
func (u *Couriers) Resume(ctx context.Context, id int64, expect Expect) (courier.Courier, error) {
	return u.change(ctx, id, expect, func(c courier.Courier) (courier.Courier, error) {
		c.PauseAfter = false
		if c.Status == courier.StatusPaused {
			c.Status = courier.StatusAvailable
		}
		return c, nil
	})
}

// Delete deletes a courier. Their deliveries stay in the history and in the
// statistics; the phone may be registered again. The error is courier.ErrBusy with an
// open delivery, and courier.ErrNotFound also when deleted before.
func (u *Couriers) Delete(ctx context.Context, id int64, expect Expect) error {
	return u.store.Delete(ctx, id, func(c courier.Courier) error {
		if err := expect.check(c); err != nil {
			return err
		}
		if c.Status == courier.StatusBusy {
			return busyWith(c)
		}
		return nil
	})
}

func (u *Couriers) change(ctx context.Context, id int64, expect Expect, decide Decide) (courier.Courier, error) {
	c, err := u.store.Change(ctx, id, func(c courier.Courier) (courier.Courier, error) {
		if err := expect.check(c); err != nil {
			return c, err
		}
		return decide(c)
	})
	if err == nil && c.Status == courier.StatusAvailable {
		u.trigger() // harmless if the courier was available before
	}
	return c, err
}

func (e Expect) check(c courier.Courier) error {
	if e == nil {
		return nil
	}
	return e(c)
}
