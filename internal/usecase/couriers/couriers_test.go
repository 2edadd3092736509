package couriers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/phone"
	"service-courier/internal/usecase/couriers"
)

// store is a Store in memory that returns err.
type store struct {
	kept    []courier.Courier
	history couriers.History
	err     error
}

func (s *store) History(context.Context, int64, time.Time, time.Time) (couriers.History, error) {
	return s.history, s.err
}

func (s *store) Insert(_ context.Context, c courier.Courier) (int64, error) {
	if s.err != nil {
		return 0, s.err
	}
	s.kept = append(s.kept, c)
	return int64(len(s.kept)), nil
}

func (s *store) Get(_ context.Context, id int64) (courier.Courier, error) {
	if id > int64(len(s.kept)) {
		return courier.Courier{}, courier.ErrNotFound
	}
	return s.kept[id-1], s.err
}

func (s *store) ByPhone(_ context.Context, phone string) (courier.Courier, error) {
	for _, c := range s.kept {
		if c.Phone == phone {
			return c, nil
		}
	}
	return courier.Courier{}, courier.ErrNotFound
}

func (s *store) Page(context.Context, couriers.Filter, int64, int) ([]courier.Courier, error) {
	return s.kept, s.err
}

func (s *store) Change(ctx context.Context, id int64, decide couriers.Decide) (courier.Courier, error) {
	c, err := s.Get(ctx, id)
	if err != nil {
		return c, err
	}
	if c, err = decide(c); err == nil {
		s.kept[id-1] = c
	}
	return c, err
}

// TestBusyCourierNamesTheOrder: what has to be unassigned first.
func TestBusyCourierNamesTheOrder(t *testing.T) {
	c := of(courier.StatusBusy)
	c.OrderID = "o-1"
	u := couriers.New(&store{kept: []courier.Courier{c}}, phones, func() {})
	_, paused := u.Pause(t.Context(), 1, false, nil)
	for _, err := range []error{paused, u.Delete(t.Context(), 1, nil)} {
		if want := courier.Explain(courier.ErrBusy, "order o-1"); !errors.Is(err, want) {
			t.Errorf("err = %v, want %v", err, want)
		}
	}
}

func (s *store) Delete(ctx context.Context, id int64, allow func(courier.Courier) error) error {
	c, err := s.Get(ctx, id)
	if err == nil {
		err = allow(c)
	}
	if err == nil {
		s.kept = nil
	}
	return err
}

// phones are those of Russia.
var phones phone.Reader

func anna(change func(*courier.Courier)) courier.Courier {
	c := courier.Courier{Name: "Anna", Phone: "+79000000001", Status: courier.StatusAvailable, Transport: courier.Car}
	change(&c)
	return c
}

func TestRegister(t *testing.T) {
	errBroken := errors.New("broken")
	tests := []struct {
		name      string
		give      courier.Courier
		storeErr  error
		want      error
		kept      courier.Courier // when want is nil
		triggered int
	}{
		{
			name: "available", give: anna(func(*courier.Courier) {}),
			kept: anna(func(*courier.Courier) {}), triggered: 1,
		},
		{
			name: "no status means available", give: anna(func(c *courier.Courier) { c.Status = "" }),
			kept: anna(func(*courier.Courier) {}), triggered: 1,
		},
		{
			name: "normalized", give: anna(func(c *courier.Courier) { c.Name, c.Phone = " Anna\t", " 8 (900) 000-00-01\n" }),
			kept: anna(func(*courier.Courier) {}), triggered: 1,
		},
		{
			name: "paused does not trigger matching", give: anna(func(c *courier.Courier) { c.Status = courier.StatusPaused }),
			kept: anna(func(c *courier.Courier) { c.Status = courier.StatusPaused }),
		},
		{
			name: "busy", give: anna(func(c *courier.Courier) { c.Status = courier.StatusBusy }),
			want: courier.ErrBusyNotSettable,
		},
		{
			name: "invalid", give: anna(func(c *courier.Courier) { c.Transport = "" }),
			want: courier.ErrInvalidCourier,
		},
		{
			name: "not a phone", give: anna(func(c *courier.Courier) { c.Phone = "not a phone" }),
			want: courier.ErrInvalidPhone,
		},
		{
			name: "phone already registered", give: anna(func(*courier.Courier) {}),
			storeErr: courier.ErrPhoneRegistered, want: courier.ErrPhoneRegistered,
		},
		{
			name: "storage broken", give: anna(func(*courier.Courier) {}),
			storeErr: errBroken, want: errBroken,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, triggered := &store{err: tt.storeErr}, 0
			id, err := couriers.New(s, phones, func() { triggered++ }).Register(t.Context(), tt.give)
			if !errors.Is(err, tt.want) || triggered != tt.triggered {
				t.Fatalf("err = %v, triggered %d times; want %v, %d", err, triggered, tt.want, tt.triggered)
			}
			if tt.want != nil {
				if id != 0 || len(s.kept) != 0 {
					t.Errorf("id = %d, kept %+v; want nothing", id, s.kept)
				}
				return
			}
			if diff := cmp.Diff([]courier.Courier{tt.kept}, s.kept); diff != "" || id != 1 {
				t.Errorf("id = %d, kept (-want +got):\n%s", id, diff)
			}
		})
	}
}

func TestGet(t *testing.T) {
	s := &store{kept: []courier.Courier{anna(func(c *courier.Courier) { c.ID = 1 })}}
	u := couriers.New(s, phones, func() { t.Error("reading woke matching") })
	if got, err := u.Get(t.Context(), 1); err != nil || got != s.kept[0] {
		t.Errorf("Get(1) = %+v, %v", got, err)
	}
	if _, err := u.Get(t.Context(), 2); !errors.Is(err, courier.ErrNotFound) {
		t.Errorf("Get(2): err = %v, want ErrNotFound", err)
	}
}

func of(s courier.Status) courier.Courier {
	c := anna(func(c *courier.Courier) { c.ID, c.Status = 1, s })
	if s == courier.StatusBusy {
		c.OrderID = "o-1"
	}
	return c
}

// TestChanges makes every change of a courier in every status.
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
	name, empty, number, noPhone, onFoot, bike := " Ann ", " ", "8 900 000-00-02", "+7", courier.OnFoot, courier.Transport("bike")

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
		"available to busy":      {of(available), status(busy), of(available), courier.ErrBusyNotSettable},
		"paused to busy":         {of(paused), status(busy), of(paused), courier.ErrBusyNotSettable},
		"busy to available":      {of(busy), status(available), of(busy), courier.ErrBusy},
		"busy to paused":         {of(busy), status(paused), of(busy), courier.ErrBusy},
		"name of a busy courier": {toPause, fields(couriers.Fields{Name: &name}), with(busy, func(c *courier.Courier) { c.Name, c.PauseAfter = "Ann", true }), nil},
		"other fields": {
			of(paused), fields(couriers.Fields{Phone: &number, Transport: &onFoot}),
			with(paused, func(c *courier.Courier) { c.Phone, c.Transport = "+79000000002", courier.OnFoot }), nil,
		},
		"not a phone":   {of(paused), fields(couriers.Fields{Phone: &noPhone}), of(paused), courier.ErrInvalidPhone},
		"no fields":     {of(paused), fields(couriers.Fields{}), of(paused), nil},
		"empty name":    {of(paused), fields(couriers.Fields{Name: &empty}), of(paused), courier.ErrInvalidCourier},
		"bad transport": {of(paused), fields(couriers.Fields{Transport: &bike}), of(paused), courier.ErrInvalidCourier},

		"pause available":         {of(available), pause(false), of(paused), nil},
		"pause available after":   {of(available), pause(true), of(paused), nil},
		"pause paused":            {of(paused), pause(false), of(paused), nil},
		"pause busy":              {of(busy), pause(false), of(busy), courier.ErrBusy},
		"pause busy after":        {of(busy), pause(true), toPause, nil},
		"pause busy after, again": {toPause, pause(false), toPause, nil},
		"resume available":        {of(available), resume, of(available), nil},
		"resume paused":           {of(paused), resume, of(available), nil},
		"resume busy":             {of(busy), resume, of(busy), nil},
		"resume busy after":       {toPause, resume, of(busy), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, triggered := &store{kept: []courier.Courier{tt.from}}, false
			got, err := tt.do(t.Context(), couriers.New(s, phones, func() { triggered = true }))
			if !errors.Is(err, tt.err) {
				t.Fatalf("err = %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, s.kept[0]); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if err == nil && got != tt.want {
				t.Errorf("returned %+v", got)
			}
			if err == nil && triggered != (tt.want.Status == available) {
				t.Errorf("triggered: %t", triggered)
			}
		})
	}
}

// TestChangesCheckExpect fails when a change does not call expect.
func TestChangesCheckExpect(t *testing.T) {
	for _, expected := range []error{nil, courier.ErrChanged} {
		expect := func(c courier.Courier) error {
			if c != of(courier.StatusAvailable) {
				t.Errorf("expect got %+v", c)
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
			u := couriers.New(&store{kept: []courier.Courier{of(courier.StatusAvailable)}}, phones, func() {})
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
		err := couriers.New(s, phones, func() { t.Error("triggered") }).Delete(t.Context(), 1, nil)
		if !errors.Is(err, want) || (len(s.kept) == 0) != (want == nil) {
			t.Errorf("%s: err = %v, kept %v", status, err, s.kept)
		}
	}
}

// TestEnsure repeats a request whose response was lost.
func TestEnsure(t *testing.T) {
	s := &store{}
	u := couriers.New(s, phones, func() {})
	first, created, err := u.Ensure(t.Context(), anna(func(c *courier.Courier) { c.Name = " Anna " }))
	if err != nil || !created {
		t.Fatalf("%+v, %t, %v", first, created, err)
	}
	s.kept[0].Status, s.kept[0].ID, s.err = courier.StatusBusy, 1, courier.ErrPhoneRegistered // assigned meanwhile
	again, created, err := u.Ensure(t.Context(), anna(func(c *courier.Courier) { c.Name, c.Phone = "Anna\n", "89000000001" }))
	if err != nil || created || again != s.kept[0] {
		t.Errorf("again: %+v, %t, %v; want the existing courier", again, created, err)
	}
	for what, other := range map[string]courier.Courier{
		"name":      anna(func(c *courier.Courier) { c.Name = "Hanna" }),
		"transport": anna(func(c *courier.Courier) { c.Transport = courier.OnFoot }),
		"deleted":   anna(func(c *courier.Courier) { c.Phone = "+79000000009" }), // between Insert and ByPhone
	} {
		if _, _, err := u.Ensure(t.Context(), other); !errors.Is(err, courier.ErrPhoneRegistered) || errors.Is(err, courier.ErrNotFound) {
			t.Errorf("other %s: err = %v, want ErrPhoneRegistered alone", what, err)
		} else if who := "phone already registered: courier 1 has it"; (err.Error() == who) == (what == "deleted") {
			t.Errorf("other %s: err = %v", what, err)
		}
	}
	if _, err := u.Register(t.Context(), anna(func(*courier.Courier) {})); err == nil || err.Error() != "phone already registered: courier 1 has it" {
		t.Errorf("register: err = %v", err)
	}
	phone := "89000000001"
	if _, err := u.Change(t.Context(), 1, couriers.Fields{Phone: &phone}, nil); err == nil || err.Error() != "phone already registered: courier 1 has it" {
		t.Errorf("change: err = %v", err)
	}
}
