package postgres_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/storage/postgres"
)

var boris = courier.Courier{Name: "Boris", Phone: "+1", Status: courier.StatusAvailable, Transport: courier.Scooter}

func TestCouriersAreKeptAsGiven(t *testing.T) {
	f := newFixture(t)
	store := postgres.NewCouriers(f.pool)
	if all, err := store.List(f.Context()); err != nil || len(all) != 0 {
		t.Fatalf("List() = %v, %v; want nobody", all, err)
	}
	want := []courier.Courier{
		{Name: "Анна О'Нил \"x\"", Phone: "+7 900", Status: courier.StatusAvailable, Transport: courier.OnFoot},
		{ID: 77, Name: "Ignored id", Phone: "1", Status: courier.StatusPaused, Transport: courier.Car},
	}
	for i := range want {
		id, err := store.Insert(f.Context(), want[i])
		if err != nil || id != int64(i+1) {
			t.Fatalf("Insert(%+v) = %d, %v; want id %d", want[i], id, err, i+1)
		}
		want[i].ID = id
		if got, err := store.Get(f.Context(), id); err != nil || got != want[i] {
			t.Errorf("Get(%d) = %+v, %v; want %+v", id, got, err, want[i])
		}
	}
	f.exec("UPDATE couriers SET deliveries = deliveries WHERE id = 1") // moves the row behind the other
	got, err := store.List(f.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("List(): %v, (-want +got):\n%s", err, diff)
	}
	f.sound()
}

func TestNoSuchCourier(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	if c, err := postgres.NewCouriers(f.pool).Get(f.Context(), 2); !errors.Is(err, courier.ErrNotFound) {
		t.Errorf("Get(2) = %+v, %v; want ErrNotFound", c, err)
	}
}

// TestOnePhoneOneCourier races: the database decides, not a look beforehand.
func TestOnePhoneOneCourier(t *testing.T) {
	f := newFixture(t)
	store := postgres.NewCouriers(f.pool)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = store.Insert(f.Context(), boris) })
	}
	wg.Wait()
	taken := 0
	for _, err := range errs {
		if errors.Is(err, courier.ErrPhoneTaken) {
			taken++
		} else if err != nil {
			t.Errorf("err = %v, want nil or ErrPhoneTaken", err)
		}
	}
	if taken != len(errs)-1 {
		t.Errorf("%d refused, want %d", taken, len(errs)-1)
	}
	f.expect("1", "SELECT count(*) FROM couriers")
}

// TestOtherConstraintsAreNotAPhone fails when violates stops asking which
// constraint it was: every violation would then be called a taken phone.
func TestOtherConstraintsAreNotAPhone(t *testing.T) {
	f := newFixture(t)
	f.exec("INSERT INTO couriers (id, name, phone) VALUES (1, 'in the way', '1')")
	_, err := postgres.NewCouriers(f.pool).Insert(f.Context(), boris) // is given id 1 as well
	if err == nil || errors.Is(err, courier.ErrPhoneTaken) || errors.Is(err, courier.ErrUnavailable) {
		t.Errorf("err = %v, want the plain violation", err)
	}
}

func TestRegisteredCourierGetsTheWaitingOrder(t *testing.T) {
	f := newFixture(t)
	f.save(to("a", courier.StateWaiting))
	f.expectMatch(10)
	if _, err := postgres.NewCouriers(f.pool).Insert(f.Context(), boris); err != nil {
		t.Fatal(err)
	}
	f.expectMatch(10, "a:1")
	if c, err := postgres.NewCouriers(f.pool).Get(f.Context(), 1); err != nil || c.Status != courier.StatusBusy {
		t.Errorf("Get(1) = %+v, %v; want him busy", c, err)
	}
	f.sound()
}

func TestCouriersUnavailable(t *testing.T) {
	nobody, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := "postgres://u:secret@" + nobody.Addr().String() + "/d"
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	live := pgtest.NewDatabase(t, postgres.Migrate)
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelLate()
	gone, cancelGone := context.WithCancel(t.Context())
	cancelGone()
	tests := map[string]struct {
		ctx  context.Context
		url  string
		want bool
	}{
		"nobody listens":  {t.Context(), refusing, true},
		"no schema yet":   {t.Context(), pgtest.NewDatabase(t, nil), true},
		"no time left":    {late, live, true},
		"the caller left": {gone, live, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			pool, err := postgres.Open(t.Context(), tt.url, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			store := postgres.NewCouriers(pool)
			_, insertErr := store.Insert(tt.ctx, boris)
			_, getErr := store.Get(tt.ctx, 1)
			_, listErr := store.List(tt.ctx)
			for what, err := range map[string]error{"Insert": insertErr, "Get": getErr, "List": listErr} {
				if err == nil || errors.Is(err, courier.ErrUnavailable) != tt.want {
					t.Errorf("%s: err = %v, want it to match ErrUnavailable: %t", what, err, tt.want)
				}
			}
		})
	}
}

// TestLostConnectionIsUnavailable ends the session that a request is using.
func TestLostConnectionIsUnavailable(t *testing.T) {
	f := newFixture(t)
	f.exec("CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$")
	f.exec("CREATE TRIGGER hang_up BEFORE INSERT ON couriers FOR EACH ROW EXECUTE FUNCTION hang_up()")
	_, err := postgres.NewCouriers(f.pool).Insert(f.Context(), boris)
	if !errors.Is(err, courier.ErrUnavailable) {
		t.Errorf("err = %v, want ErrUnavailable", err)
	}
}
