package couriers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
)

func of(s courier.Status) courier.Courier {
	c := anna(func(c *courier.Courier) { c.ID, c.Status = 1, s })
	if s == courier.StatusBusy {
		c.OrderID = "o-1"
	}
	return c
}

// TestChanges is every change of a courier in every status.
func TestChanges(t *testing.T) {
	const available, busy, paused = courier.StatusAvailable, courier.StatusBusy, courier.StatusPaused
	type do = func(context.Context, *couriers.Couriers) (courier.Courier, error)
	fields := func(f couriers.Fields) do {
		return func(ctx context.Context, u *couriers.Couriers) (courier.Courier, error) {
			return u.Change(ctx, 1, f, nil)
		}
	}
	status := func(s courier.Status) do { return fields(couriers.Fields{Status: &s}) }
	pause := func(after bool) do {
		return func(ctx context.Context, u *couriers.Couriers) (courier.Courier, error) {
			return u.Pause(ctx, 1, after, nil)
		}
	}
	resume := func(ctx context.Context, u *couriers.Couriers) (courier.Courier, error) { return u.Resume(ctx, 1, nil) }
	with := func(s courier.Status, change func(*courier.Courier)) courier.Courier {
		c := of(s)
		change(&c)
		return c
	}
	toPause := with(busy, func(c *courier.Courier) { c.PauseAfter = true })
	name, empty, phone, onFoot, bike := " Ann ", " ", "+2", courier.OnFoot, courier.Transport("bike")

	tests := map[string]struct {
		from courier.Courier
		do   do
		want courier.Courier
		err  error
	}{
		"to paused":              {of(available), status(paused), of(paused), nil},
		"to available":           {of(paused), status(available), of(available), nil},
		"stays available":        {of(available), status(available), of(available), nil},
		"stays busy":             {of(busy), status(busy), of(busy), nil},
		"available to busy":      {of(available), status(busy), of(available), courier.ErrBusyByHand},
		"paused to busy":         {of(paused), status(busy), of(paused), courier.ErrBusyByHand},
		"busy to available":      {of(busy), status(available), of(busy), courier.ErrBusy},
		"busy to paused":         {of(busy), status(paused), of(busy), courier.ErrBusy},
		"busy gets another name": {toPause, fields(couriers.Fields{Name: &name}), with(busy, func(c *courier.Courier) { c.Name, c.PauseAfter = "Ann", true }), nil},
		"other fields": {
			of(paused), fields(couriers.Fields{Phone: &phone, Transport: &onFoot}),
			with(paused, func(c *courier.Courier) { c.Phone, c.Transport = "+2", courier.OnFoot }), nil,
		},
		"no fields":     {of(paused), fields(couriers.Fields{}), of(paused), nil},
		"empty name":    {of(paused), fields(couriers.Fields{Name: &empty}), of(paused), courier.ErrInvalidCourier},
		"bad transport": {of(paused), fields(couriers.Fields{Transport: &bike}), of(paused), courier.ErrInvalidCourier},

		"pause available":       {of(available), pause(false), of(paused), nil},
		"pause available after": {of(available), pause(true), of(paused), nil},
		"pause paused":          {of(paused), pause(false), of(paused), nil},
		"pause busy":            {of(busy), pause(false), of(busy), courier.ErrBusy},
		"pause busy after":      {of(busy), pause(true), toPause, nil},
		"pause who is to pause": {toPause, pause(false), toPause, nil},
		"resume available":      {of(available), resume, of(available), nil},
		"resume paused":         {of(paused), resume, of(available), nil},
		"resume busy":           {of(busy), resume, of(busy), nil},
		"resume who is to":      {toPause, resume, of(busy), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, woken := &store{kept: []courier.Courier{tt.from}}, false
			got, err := tt.do(t.Context(), couriers.New(s, func() { woken = true }))
			if !errors.Is(err, tt.err) {
				t.Fatalf("err = %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, s.kept[0]); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if err == nil && got != tt.want {
				t.Errorf("returned %+v", got)
			}
			if err == nil && woken != (tt.want.Status == available) {
				t.Errorf("woken: %t", woken)
			}
		})
	}
}

// TestChangesOfWhoWasExpectedOtherwise fails when a change forgets to ask expect.
func TestChangesOfWhoWasExpectedOtherwise(t *testing.T) {
	for _, expected := range []error{nil, courier.ErrChanged} {
		expect := func(c courier.Courier) error {
			if c != of(courier.StatusAvailable) {
				t.Errorf("expect was asked about %+v", c)
			}
			return expected
		}
		for name, do := range map[string]func(*couriers.Couriers) error{
			"change": func(u *couriers.Couriers) error {
				_, err := u.Change(t.Context(), 1, couriers.Fields{}, expect)
				return err
			},
			"pause":  func(u *couriers.Couriers) error { _, err := u.Pause(t.Context(), 1, false, expect); return err },
			"resume": func(u *couriers.Couriers) error { _, err := u.Resume(t.Context(), 1, expect); return err },
			"delete": func(u *couriers.Couriers) error { return u.Delete(t.Context(), 1, expect) },
		} {
			u := couriers.New(&store{kept: []courier.Courier{of(courier.StatusAvailable)}}, func() {})
			if err := do(u); !errors.Is(err, expected) {
				t.Errorf("%s: err = %v, want %v", name, err, expected)
			}
		}
	}
}

func TestDelete(t *testing.T) {
	for status, want := range map[courier.Status]error{
		courier.StatusAvailable: nil, courier.StatusPaused: nil, courier.StatusBusy: courier.ErrBusy,
	} {
		s := &store{kept: []courier.Courier{of(status)}}
		err := couriers.New(s, func() { t.Error("woken") }).Delete(t.Context(), 1, nil)
		if !errors.Is(err, want) || (len(s.kept) == 0) != (want == nil) {
			t.Errorf("%s: err = %v, kept %v", status, err, s.kept)
		}
	}
}

// TestEnsure asks a second time, after the first answer was lost.
func TestEnsure(t *testing.T) {
	s := &store{}
	u := couriers.New(s, func() {})
	first, created, err := u.Ensure(t.Context(), anna(func(c *courier.Courier) { c.Name = " Anna " }))
	if err != nil || !created {
		t.Fatalf("%+v, %t, %v", first, created, err)
	}
	s.kept[0].Status, s.kept[0].ID, s.err = courier.StatusBusy, 1, courier.ErrPhoneTaken // an order came
	again, created, err := u.Ensure(t.Context(), anna(func(c *courier.Courier) { c.Name = "Anna\n" }))
	if err != nil || created || again != s.kept[0] {
		t.Errorf("again: %+v, %t, %v; want the one there is", again, created, err)
	}
	for what, other := range map[string]courier.Courier{
		"name":      anna(func(c *courier.Courier) { c.Name = "Hanna" }),
		"transport": anna(func(c *courier.Courier) { c.Transport = courier.OnFoot }),
		"deleted":   anna(func(c *courier.Courier) { c.Phone = "+gone" }), // between the two looks
	} {
		if _, _, err := u.Ensure(t.Context(), other); !errors.Is(err, courier.ErrPhoneTaken) || errors.Is(err, courier.ErrNotFound) {
			t.Errorf("other %s: err = %v, want ErrPhoneTaken alone", what, err)
		}
	}
}
