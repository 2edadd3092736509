package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/orderevent"
)

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
	f.expect("true", "SELECT free_since > 'epoch' FROM couriers WHERE id = 1") // behind those who are free
	if _, err := f.change(2, func(*courier.Courier) {}); err != nil {
		t.Fatal(err)
	}
	f.expect("true", "SELECT updated_at = 'epoch' FROM couriers WHERE id = 2") // nothing to write
}

// TestTakenPhoneStaysOutOfTheServersLog, into which a violated constraint writes it.
func TestTakenPhoneStaysOutOfTheServersLog(t *testing.T) {
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
	if _, err := f.change(1, func(c *courier.Courier) { c.Phone = "+2" }); !errors.Is(err, courier.ErrPhoneTaken) {
		t.Errorf("change: %v", err)
	}
	taken := courier.Courier{Name: "Ann", Phone: "+1", Status: courier.StatusAvailable, Transport: courier.Car}
	if _, err := postgres.NewCouriers(pool).Insert(t.Context(), taken); !errors.Is(err, courier.ErrPhoneTaken) {
		t.Errorf("insert: %v", err)
	}
	if len(refused) > 0 {
		t.Errorf("the server said, and so logged: %v", refused)
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
	if _, err := f.change(3, func(*courier.Courier) { t.Error("asked about nobody") }); !errors.Is(err, courier.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := f.change(1, func(c *courier.Courier) { c.Phone = "+2" }); !errors.Is(err, courier.ErrPhoneTaken) {
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

// TestPauseAfterDelivery ends a delivery in each way. It fails when the statement
// that frees a courier forgets the wish, for he is available then, or keeps it:
// the database refuses a free courier who is to pause.
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
			f.sound()
		})
	}
}

// TestOtherDeliveryOfHisDoesNotPause: a courier is to pause after the order that
// he has, not when an older one of his is cancelled.
func TestOtherDeliveryOfHisDoesNotPause(t *testing.T) {
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
	f.sound()
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
	all, err := store.List(f.Context())
	if err != nil || len(all) != 1 || all[0].ID != 2 {
		t.Errorf("List: %+v, %v", all, err)
	}
	f.expect("1 1", "SELECT c.deliveries || ' ' || d.courier_id FROM couriers c, courier_orders d WHERE c.id = 1") // the history
	if id, err := store.Insert(f.Context(), courier.Courier{Name: "new", Phone: "+1", Status: courier.StatusAvailable, Transport: courier.Car}); err != nil {
		t.Errorf("his phone is not free: %d, %v", id, err)
	}
	f.save(to("x", courier.StateWaiting), to("y", courier.StateWaiting), to("z", courier.StateWaiting))
	f.expectMatch(10, "x:2", "y:3")
	f.save(to("a", courier.StateCancelled)) // also when it is cancelled after all
	f.expect("0", "SELECT deliveries FROM couriers WHERE id = 1")
	f.sound()
}

func second[T any](_ T, err error) error { return err }

// assignTo assigns an order, new and waiting, by hand.
func (f fixture) assignTo(id courier.OrderID, courierID int64) (a orderevent.Assignment, err error) {
	f.save(to(id, courier.StateWaiting))
	defer f.save(to(id, courier.StateCancelled))
	err = f.orders.InTx(f.Context(), func(tx orderevent.Tx) error {
		a, err = tx.Assign(f.Context(), id, courierID, "person")
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

// TestMatchAndAPersonRaceForACourier lets match give orders to couriers whom
// people pause, delete and rename at the same time: whoever gets him first, the
// database stays whole and the other is told.
func TestMatchAndAPersonRaceForACourier(t *testing.T) {
	f := newFixture(t)
	const n = 40
	f.couriers(n)
	for i := range n {
		f.save(to(courier.OrderID(fmt.Sprintf("o-%d", i)), courier.StateWaiting))
	}
	use := couriers.New(postgres.NewCouriers(f.pool), func() {})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range n {
			if _, err := f.line.Match(f.Context(), 2); err != nil {
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
	f.sound()
}
