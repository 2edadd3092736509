package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/orderevent"
)

var boris = courier.Courier{Name: "Boris", Phone: "+1", Status: courier.StatusAvailable, Transport: courier.Scooter}

func TestCourierIsStoredAsGiven(t *testing.T) {
	f := newFixture(t)
	store := postgres.NewCouriers(f.pool)
	if all, err := store.Page(f.Context(), couriers.Filter{}, 0, 100); err != nil || len(all) != 0 {
		t.Fatalf("Page() = %v, %v; want none", all, err)
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
	got, err := store.Page(f.Context(), couriers.Filter{}, 0, 100)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Page(): %v, (-want +got):\n%s", err, diff)
	}
	f.expectNoViolations()
}

func TestUnknownCourier(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	if c, err := postgres.NewCouriers(f.pool).Get(f.Context(), 2); !errors.Is(err, courier.ErrNotFound) {
		t.Errorf("Get(2) = %+v, %v; want ErrNotFound", c, err)
	}
}

// TestOnePhoneOneCourier races: the database decides, not a query before the insert.
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
		if errors.Is(err, courier.ErrPhoneRegistered) {
			taken++
		} else if err != nil {
			t.Errorf("err = %v, want nil or ErrPhoneRegistered", err)
		}
	}
	if taken != len(errs)-1 {
		t.Errorf("%d refused, want %d", taken, len(errs)-1)
	}
	f.expect("1", "SELECT count(*) FROM couriers")
}

// TestOtherViolationIsNotPhoneRegistered fails when the name of the constraint is not
// compared: then every violation would be reported as a registered phone.
func TestOtherViolationIsNotPhoneRegistered(t *testing.T) {
	f := newFixture(t)
	f.exec("CREATE UNIQUE INDEX another ON couriers (name)")
	f.exec("INSERT INTO couriers (name, phone) VALUES ($1, '1')", boris.Name)
	_, err := postgres.NewCouriers(f.pool).Insert(f.Context(), boris)
	if err == nil || errors.Is(err, courier.ErrPhoneRegistered) || errors.Is(err, courier.ErrUnavailable) {
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
		t.Errorf("Get(1) = %+v, %v; want busy", c, err)
	}
	f.expectNoViolations()
}

func TestCouriersUnavailable(t *testing.T) {
	unused, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := "postgres://u:secret@" + unused.Addr().String() + "/d"
	if err := unused.Close(); err != nil {
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
		"no server":     {t.Context(), refusing, true},
		"no schema yet": {t.Context(), pgtest.NewDatabase(t, nil), true},
		"no time left":  {late, live, true},
		"client left":   {gone, live, false},
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
			_, pageErr := store.Page(tt.ctx, couriers.Filter{}, 0, 100)
			for what, err := range map[string]error{"Insert": insertErr, "Get": getErr, "Page": pageErr} {
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

// TestClosedDatabaseIsUnavailable: a database that accepts no connections, as during
// maintenance, is unavailable, whatever SQLSTATE says so.
func TestClosedDatabaseIsUnavailable(t *testing.T) {
	f := newFixture(t)
	resume := pgtest.Interrupt(t, f.pool.Config().ConnString())
	var err error
	for range 2 { // the first may have a connection that was ended
		_, err = postgres.NewCouriers(f.pool).Insert(f.Context(), boris)
	}
	if !errors.Is(err, courier.ErrUnavailable) || errors.Is(err, orderevent.ErrRefused) {
		t.Errorf("err = %v, want ErrUnavailable", err)
	}
	resume()
	if _, err := postgres.NewCouriers(f.pool).Insert(f.Context(), boris); err != nil {
		t.Error(err)
	}
}

func (f fixture) change(id int64, change func(*courier.Courier)) (courier.Courier, error) {
	return postgres.NewCouriers(f.pool).Change(f.Context(), id, func(c courier.Courier) (courier.Courier, error) {
		change(&c)
		return c, nil
	})
}

func TestChangeKeepsWhatWasDecided(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.exec("UPDATE couriers SET deliveries = 3, free_since = 'epoch', updated_at = 'epoch'")
	want := courier.Courier{ID: 1, Name: "Б", Phone: "+9", Status: courier.StatusPaused, Transport: courier.Car, Deliveries: 3}
	got, err := f.change(1, func(c *courier.Courier) {
		c.Name, c.Phone, c.Status, c.Transport = want.Name, want.Phone, want.Status, want.Transport
	})
	if err != nil || got != want {
		t.Errorf("Change: %+v, %v", got, err)
	}
	if got, err := postgres.NewCouriers(f.pool).Get(f.Context(), 1); err != nil || got != want {
		t.Errorf("Get: %+v, %v", got, err)
	}
	f.expect("true", "SELECT free_since = 'epoch' AND updated_at > 'epoch' FROM couriers WHERE id = 1")
	if _, err := f.change(1, func(c *courier.Courier) { c.Status = courier.StatusAvailable }); err != nil {
		t.Fatal(err)
	}
	f.expect("true", "SELECT free_since > 'epoch' FROM couriers WHERE id = 1") // after those that are available
	if _, err := f.change(2, func(*courier.Courier) {}); err != nil {
		t.Fatal(err)
	}
	f.expect("true", "SELECT updated_at = 'epoch' FROM couriers WHERE id = 2") // nothing to write
}

// TestRegisteredPhoneIsNotInServerLog: the violation of a constraint would write the
// phone there.
func TestRegisteredPhoneIsNotInServerLog(t *testing.T) {
	url := pgtest.NewDatabase(t, postgres.Migrate)
	cfg := openPool(t, url, nil).Config()
	var refused refusals
	cfg.ConnConfig.Tracer = &refused
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	f := fixture{T: t, pool: pool}
	f.couriers(2)
	if _, err := f.change(1, func(c *courier.Courier) { c.Phone = "+2" }); !errors.Is(err, courier.ErrPhoneRegistered) {
		t.Errorf("change: %v", err)
	}
	taken := courier.Courier{Name: "Ann", Phone: "+1", Status: courier.StatusAvailable, Transport: courier.Car}
	if _, err := postgres.NewCouriers(pool).Insert(t.Context(), taken); !errors.Is(err, courier.ErrPhoneRegistered) {
		t.Errorf("insert: %v", err)
	}
	if len(refused) > 0 {
		t.Errorf("the server logged %v", refused)
	}
}

// refusals are the errors of the server that a connection has seen.
type refusals []error

func (r *refusals) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (r *refusals) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if _, ok := errors.AsType[*pgconn.PgError](data.Err); ok {
		*r = append(*r, data.Err)
	}
}

func TestChangeRefuses(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	if _, err := f.change(3, func(*courier.Courier) { t.Error("decide was called without a courier") }); !errors.Is(err, courier.ErrNotFound) {
		t.Errorf("unknown courier: %v", err)
	}
	if _, err := f.change(1, func(c *courier.Courier) { c.Phone = "+2" }); !errors.Is(err, courier.ErrPhoneRegistered) {
		t.Errorf("the other's phone: %v", err)
	}
	_, err := postgres.NewCouriers(f.pool).Change(f.Context(), 1, func(c courier.Courier) (courier.Courier, error) {
		c.Name = "lost"
		return c, courier.ErrChanged
	})
	if !errors.Is(err, courier.ErrChanged) {
		t.Errorf("refused: %v", err)
	}
	f.expect("c1", "SELECT name FROM couriers WHERE id = 1")
}

// TestPauseAfterDelivery ends a delivery in each way. It fails when the statement that
// frees a courier ignores pause_after_delivery or does not reset it.
func TestPauseAfterDelivery(t *testing.T) {
	for _, ending := range []courier.State{courier.StateCompleted, courier.StateCancelled, courier.StateHeld} {
		t.Run(string(ending), func(t *testing.T) {
			f := newFixture(t)
			f.couriers(2)
			f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting))
			f.expectMatch(10, "a:1", "b:2")
			if c, err := f.change(1, func(c *courier.Courier) { c.PauseAfter = true }); err != nil || c.OrderID != "a" {
				t.Fatalf("%+v, %v", c, err)
			}
			f.save(to("a", ending), to("b", ending), to("c", courier.StateWaiting), to("d", courier.StateWaiting))
			f.expect("paused false", "SELECT status || ' ' || pause_after_delivery FROM couriers WHERE id = 1")
			f.expectMatch(10, "c:2") // d waits: the other is paused
			f.expectNoViolations()
		})
	}
}

// TestEndOfOlderDeliveryDoesNotPause: a courier pauses after the open delivery, not when
// an older one is cancelled.
func TestEndOfOlderDeliveryDoesNotPause(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.expectMatch(10, "a:1")
	f.save(to("a", courier.StateCompleted), to("b", courier.StateWaiting))
	f.expectMatch(10, "b:1")
	if _, err := f.change(1, func(c *courier.Courier) { c.PauseAfter = true }); err != nil {
		t.Fatal(err)
	}
	f.save(to("a", courier.StateCancelled))
	f.expect("busy true b 0", "SELECT concat_ws(' ', status, pause_after_delivery::text, order_id, deliveries) FROM couriers")
	f.expectNoViolations()
}

func TestDeletedCourier(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting))
	f.expectMatch(10, "a:1")
	f.save(to("a", courier.StateCompleted))
	store := postgres.NewCouriers(f.pool)
	allow := func(courier.Courier) error { return nil }
	if err := store.Delete(f.Context(), 1, func(courier.Courier) error { return courier.ErrBusy }); !errors.Is(err, courier.ErrBusy) {
		t.Errorf("not allowed: %v", err)
	}
	if err := store.Delete(f.Context(), 1, allow); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"Delete": store.Delete(f.Context(), 1, allow),
		"Get":    second(store.Get(f.Context(), 1)),
		"phone":  second(store.ByPhone(f.Context(), "+1")),
		"Change": second(f.change(1, func(*courier.Courier) {})),
		"Assign": second(f.assignTo("b", 1)),
	} {
		if !errors.Is(err, courier.ErrNotFound) {
			t.Errorf("%s finds the deleted one: %v", what, err)
		}
	}
	all, err := store.Page(f.Context(), couriers.Filter{}, 0, 100)
	if err != nil || len(all) != 1 || all[0].ID != 2 {
		t.Errorf("Page: %+v, %v", all, err)
	}
	f.expect("1 1", "SELECT c.deliveries || ' ' || d.courier_id FROM couriers c, courier_orders d WHERE c.id = 1") // the history
	if id, err := store.Insert(f.Context(), courier.Courier{Name: "new", Phone: "+1", Status: courier.StatusAvailable, Transport: courier.Car}); err != nil {
		t.Errorf("phone of a deleted courier is not free: %d, %v", id, err)
	}
	f.save(to("x", courier.StateWaiting), to("y", courier.StateWaiting), to("z", courier.StateWaiting))
	f.expectMatch(10, "x:2", "y:3")
	f.save(to("a", courier.StateCancelled)) // also when it is cancelled after all
	f.expect("0", "SELECT deliveries FROM couriers WHERE id = 1")
	f.expectNoViolations()
}

func second[T any](_ T, err error) error { return err }

// assignTo assigns a new waiting order.
func (f fixture) assignTo(id courier.OrderID, courierID int64) (a orderevent.Assignment, err error) {
	f.save(to(id, courier.StateWaiting))
	defer f.save(to(id, courier.StateCancelled))
	err = f.orders.InTx(f.Context(), func(tx orderevent.Tx) error {
		a, err = tx.Assign(f.Context(), id, courierID, "dispatcher:anna")
		return err
	})
	return a, err
}

func TestCourierPages(t *testing.T) {
	f := newFixture(t)
	f.couriers(5)
	f.exec("UPDATE couriers SET status = 'paused' WHERE id IN (2, 4, 5)")
	f.exec("UPDATE couriers SET transport_type = 'car' WHERE id IN (4, 5)")
	f.exec("UPDATE couriers SET deleted_at = now() WHERE id = 5")
	tests := []struct {
		filter couriers.Filter
		after  int64
		limit  int
		want   []int64
	}{
		{couriers.Filter{}, 0, 10, []int64{1, 2, 3, 4}},
		{couriers.Filter{}, 0, 2, []int64{1, 2}},
		{couriers.Filter{}, 2, 2, []int64{3, 4}},
		{couriers.Filter{Status: courier.StatusPaused}, 0, 10, []int64{2, 4}},
		{couriers.Filter{Status: courier.StatusPaused, Transport: courier.Car}, 0, 10, []int64{4}},
		{couriers.Filter{Transport: courier.Scooter}, 1, 10, []int64{2, 3}},
		{couriers.Filter{Status: courier.StatusBusy}, 0, 10, nil},
	}
	for _, tt := range tests {
		page, err := postgres.NewCouriers(f.pool).Page(f.Context(), tt.filter, tt.after, tt.limit)
		var got []int64
		for _, c := range page {
			got = append(got, c.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%+v: %v, (-want +got):\n%s", tt, err, diff)
		}
	}
}

// TestMatchingAndDispatcherRaceForCourier: matching assigns orders to couriers that
// dispatchers pause, delete and rename at the same time. One of them wins, the other
// gets an error, and no invariant is violated.
func TestMatchingAndDispatcherRaceForCourier(t *testing.T) {
	f := newFixture(t)
	const n = 40
	f.couriers(n)
	for i := range n {
		f.save(to(courier.OrderID(fmt.Sprintf("o-%d", i)), courier.StateWaiting))
	}
	use := couriers.New(postgres.NewCouriers(f.pool), nil, func() {})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range n {
			if _, err := f.matching.Match(f.Context(), 2); err != nil {
				f.Errorf("match: %v", err)
			}
		}
	})
	paused, refused := make([]bool, n+1), make([]bool, n+1)
	for id := int64(n); id > 0; id-- { // match begins at the other end
		wg.Go(func() {
			var err error
			if id%2 == 0 {
				_, err = use.Pause(f.Context(), id, false, nil)
			} else {
				err = use.Delete(f.Context(), id, nil)
			}
			paused[id], refused[id] = err == nil, errors.Is(err, courier.ErrBusy)
		})
	}
	wg.Wait()
	for id := 1; id <= n; id++ {
		if paused[id] == refused[id] {
			t.Errorf("courier %d: neither done nor refused", id)
		}
		busy := fmt.Sprintf("SELECT status = 'busy' FROM couriers WHERE id = %d", id)
		f.expect(fmt.Sprint(refused[id]), busy)
	}
	f.expectNoViolations()
}
