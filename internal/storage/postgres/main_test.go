package postgres_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"service-courier/internal/courier"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

func TestMain(m *testing.M) {
	citest.FewerChecks()
	code := pgtest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// fixture is a migrated database of the test's own.
type fixture struct {
	*testing.T
	pool     *pgxpool.Pool
	orders   *postgres.Orders
	matching *postgres.Matching
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	pool, err := postgres.Open(t.Context(), pgtest.Patient(pgtest.NewDatabase(t, postgres.Migrate)), 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return fixture{t, pool, postgres.NewOrders(pool), postgres.NewMatching(pool)}
}

// couriers inserts n available couriers by plain SQL.
func (f fixture) couriers(n int) {
	f.Helper()
	f.exec(`INSERT INTO couriers (name, phone, status, transport_type)
		SELECT 'c' || i, '+' || i, 'available', 'scooter' FROM generate_series(1, $1::int) i`, n)
}

func (f fixture) exec(sql string, args ...any) {
	f.Helper()
	if _, err := f.pool.Exec(f.Context(), sql, args...); err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
}

// begin begins a transaction, which ends with the test if not before.
func (f fixture) begin() pgx.Tx {
	f.Helper()
	tx, err := f.pool.Begin(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(f.Context())) })
	return tx
}

// holding begins a transaction that has run a statement.
func (f fixture) holding(sql string, args ...any) pgx.Tx {
	f.Helper()
	tx := f.begin()
	if _, err := tx.Exec(f.Context(), sql, args...); err != nil {
		f.Fatal(err)
	}
	return tx
}

// one returns the single value that the query gives, as text.
func (f fixture) one(sql string) string {
	f.Helper()
	var v *string
	if err := f.pool.QueryRow(f.Context(), "SELECT ("+sql+")::text").Scan(&v); err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
	if v == nil {
		return "NULL"
	}
	return *v
}

func (f fixture) expect(want, sql string) {
	f.Helper()
	if got := f.one(sql); got != want {
		f.Errorf("%s = %s, want %s", sql, got, want)
	}
}

// save moves orders to the states given, as a batch does.
func (f fixture) save(steps ...orderevent.Order) orderevent.Effects {
	f.Helper()
	saved, err := f.trySave(f.Context(), steps...)
	if err != nil {
		f.Fatal(err)
	}
	return saved
}

func (f fixture) trySave(ctx context.Context, steps ...orderevent.Order) (saved orderevent.Effects, err error) {
	err = f.orders.InTx(ctx, func(tx orderevent.Tx) error {
		ids := make([]courier.OrderID, len(steps))
		for i, s := range steps {
			ids[i] = s.OrderID
		}
		records, err := tx.LockOrders(ctx, ids)
		if err != nil {
			return err
		}
		var changes []orderevent.Change
		for _, s := range steps {
			if !possible(records[s.OrderID].State, s.State) {
				continue
			}
			changes = append(changes, orderevent.Change{From: records[s.OrderID].State, Next: s, Source: "0@1", Reason: "test"})
		}
		saved, err = tx.Save(ctx, changes)
		return err
	})
	return saved, err
}

// possible reports whether the use cases allow the step.
func possible(from, to courier.State) bool {
	switch to {
	case courier.StateNone:
		return true
	case courier.StateWaiting:
		return from != courier.StateAssigned && from.Class() <= courier.ClassActive
	case courier.StateHeld:
		return from.Class() == courier.ClassActive
	case courier.StateSeen, courier.StateAssigned, courier.StateCompleted, courier.StateCancelled:
	}
	return to.Class() >= from.Class()
}

func to(id courier.OrderID, s courier.State) orderevent.Order {
	return orderevent.Order{OrderID: id, State: s}
}

func (f fixture) match(limit int) []orderevent.Assignment {
	f.Helper()
	a, err := f.matching.Match(f.Context(), limit)
	if err != nil {
		f.Fatal(err)
	}
	return a
}

// expectNoViolations fails the test when the database violates an invariant.
func (f fixture) expectNoViolations() {
	f.Helper()
	violations, err := postgres.CheckInvariants(f.Context(), f.pool)
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range violations {
		f.Errorf("%s: %s", v.Invariant, v.Subject)
	}
}
