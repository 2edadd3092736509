package couriers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
)

// store keeps what was inserted, or fails.
type store struct {
	kept []courier.Courier
	err  error
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

func (s *store) List(context.Context) ([]courier.Courier, error) { return s.kept, s.err }

func anna(change func(*courier.Courier)) courier.Courier {
	c := courier.Courier{Name: "Anna", Phone: "+1", Status: courier.StatusAvailable, Transport: courier.Car}
	change(&c)
	return c
}

func TestRegister(t *testing.T) {
	errBroken := errors.New("broken")
	tests := []struct {
		name     string
		give     courier.Courier
		storeErr error
		want     error
		kept     courier.Courier // when want is nil
		woken    int
	}{
		{
			name: "available", give: anna(func(*courier.Courier) {}),
			kept: anna(func(*courier.Courier) {}), woken: 1,
		},
		{
			name: "no status means available", give: anna(func(c *courier.Courier) { c.Status = "" }),
			kept: anna(func(*courier.Courier) {}), woken: 1,
		},
		{
			name: "spaces around do not count", give: anna(func(c *courier.Courier) { c.Name, c.Phone = " Anna\t", " +1\n" }),
			kept: anna(func(*courier.Courier) {}), woken: 1,
		},
		{
			name: "paused gets no order, so nobody is woken", give: anna(func(c *courier.Courier) { c.Status = courier.StatusPaused }),
			kept: anna(func(c *courier.Courier) { c.Status = courier.StatusPaused }),
		},
		{
			name: "busy by hand", give: anna(func(c *courier.Courier) { c.Status = courier.StatusBusy }),
			want: courier.ErrBusyByHand,
		},
		{
			name: "invalid", give: anna(func(c *courier.Courier) { c.Transport = "" }),
			want: courier.ErrInvalidCourier,
		},
		{
			name: "phone taken", give: anna(func(*courier.Courier) {}),
			storeErr: courier.ErrPhoneTaken, want: courier.ErrPhoneTaken,
		},
		{
			name: "storage broken", give: anna(func(*courier.Courier) {}),
			storeErr: errBroken, want: errBroken,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, woken := &store{err: tt.storeErr}, 0
			id, err := couriers.New(s, func() { woken++ }).Register(t.Context(), tt.give)
			if !errors.Is(err, tt.want) || woken != tt.woken {
				t.Fatalf("err = %v, woken %d times; want %v, %d", err, woken, tt.want, tt.woken)
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

func TestGetAndList(t *testing.T) {
	s := &store{kept: []courier.Courier{anna(func(c *courier.Courier) { c.ID = 1 })}}
	u := couriers.New(s, func() { t.Error("reading woke match") })
	if got, err := u.Get(t.Context(), 1); err != nil || got != s.kept[0] {
		t.Errorf("Get(1) = %+v, %v", got, err)
	}
	if _, err := u.Get(t.Context(), 2); !errors.Is(err, courier.ErrNotFound) {
		t.Errorf("Get(2): err = %v, want ErrNotFound", err)
	}
	if got, err := u.List(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("List() = %+v, %v", got, err)
	}
}
