package couriers

import (
	"context"

	"service-courier/internal/courier"
)

// Fields are those of a courier that a person changes; nil leaves one as it is.
type Fields struct {
	Name, Phone *string
	Status      *courier.Status
	Transport   *courier.Transport
}

// Expect refuses a change that was meant for a courier who was otherwise; it
// returns courier.ErrChanged then. A nil Expect takes him as he is.
type Expect func(courier.Courier) error

// Change gives a courier new fields and returns him. One who is busy stays so:
// the error matches courier.ErrBusyByHand (busy is not set by hand), ErrBusy
// (available and paused are not either, while he has an order), ErrInvalidCourier,
// ErrPhoneTaken, ErrNotFound or what expect returned. The deadline of an open
// delivery stays when the transport changes.
func (u *Couriers) Change(ctx context.Context, id int64, f Fields, expect Expect) (courier.Courier, error) {
	return u.change(ctx, id, expect, func(c courier.Courier) (courier.Courier, error) {
		was := c.Status
		c = tidy(f.on(c))
		switch {
		case c.Status == was:
		case c.Status == courier.StatusBusy:
			return c, courier.ErrBusyByHand
		case was == courier.StatusBusy:
			return c, courier.ErrBusy
		}
		return c, c.Validate()
	})
}

func (f Fields) on(c courier.Courier) courier.Courier {
	set(&c.Name, f.Name)
	set(&c.Phone, f.Phone)
	set(&c.Status, f.Status)
	set(&c.Transport, f.Transport)
	return c
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// Pause keeps orders from a courier until he is resumed, and returns him. One who
// is busy pauses only afterDelivery, when his delivery ends in whatever way;
// otherwise it returns courier.ErrBusy. Pausing who is paused changes nothing.
func (u *Couriers) Pause(ctx context.Context, id int64, afterDelivery bool, expect Expect) (courier.Courier, error) {
	return u.change(ctx, id, expect, func(c courier.Courier) (courier.Courier, error) {
		switch {
		case c.Status != courier.StatusBusy:
			c.Status = courier.StatusPaused
		case c.PauseAfter || afterDelivery:
			c.PauseAfter = true
		default:
			return c, courier.ErrBusy
		}
		return c, nil
	})
}

// Resume makes a paused courier available, and lets one who was to pause after
// his delivery go on; any other stays as he is. It returns him.
func (u *Couriers) Resume(ctx context.Context, id int64, expect Expect) (courier.Courier, error) {
	return u.change(ctx, id, expect, func(c courier.Courier) (courier.Courier, error) {
		c.PauseAfter = false
		if c.Status == courier.StatusPaused {
			c.Status = courier.StatusAvailable
		}
		return c, nil
	})
}

// Delete takes a courier off the fleet. His deliveries stay in the history and
// in the statistics, and his phone may be another's. courier.ErrBusy while he has
// an open delivery; courier.ErrNotFound also when he was deleted before.
func (u *Couriers) Delete(ctx context.Context, id int64, expect Expect) error {
	return u.store.Delete(ctx, id, func(c courier.Courier) error {
		if err := expect.check(c); err != nil {
			return err
		}
		if c.Status == courier.StatusBusy {
			return courier.ErrBusy
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
		u.wake() // also who was so before: it costs nothing
	}
	return c, err
}

func (e Expect) check(c courier.Courier) error {
	if e == nil {
		return nil
	}
	return e(c)
}
