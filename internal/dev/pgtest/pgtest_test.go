package pgtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"service-courier/internal/dev/pgtest"
)

// hostileVariables are PG variables of the caller's shell, each of which breaks a
// connection that follows it.
var hostileVariables = map[string]string{
	"PGSERVICE": "absent", "PGOPTIONS": "-c nonsense=1", "PGTARGETSESSIONATTRS": "standby", "PGSSLMODE": "verify-full",
	"PGHOST": "192.0.2.1", "PGPORT": "1", "PGUSER": "absent", "PGDATABASE": "absent", "PGPASSWORD": "wrong", "PGREQUIREAUTH": "none",
	"PGCHANNELBINDING": "require", "PGCONNECT_TIMEOUT": "0.0", "PGAPPNAME": "shell", "PGTZ": "Asia/Tokyo",
}

func TestMain(m *testing.M) {
	for name, value := range hostileVariables {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := pgtest.Main(m)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var migrations atomic.Int32

func migrate(ctx context.Context, url string) (err error) {
	migrations.Add(1)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, "CREATE TABLE couriers (id bigint PRIMARY KEY); INSERT INTO couriers VALUES (1)")
	return err
}

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprintf("Мигрированная/копия %d", i), func(t *testing.T) {
			t.Parallel()
			url := pgtest.NewDatabase(t, migrate)
			conn := connect(t, url)
			_, err := conn.Exec(t.Context(), "INSERT INTO couriers VALUES (2)")
			if err != nil {
				t.Fatalf("another test's row, or no table: %v", err)
			}
			// The connection stays open: dropping the database must close it.
		})
	}
	t.Cleanup(func() {
		if got := migrations.Load(); got != 1 {
			t.Errorf("migrated %d times, want once", got)
		}
	})
}

func TestNilMigrateGivesEmptyDatabase(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.NewDatabase(t, nil))
	var tables int
	err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables)
	if err != nil || tables != 0 {
		t.Fatalf("tables = %d, err = %v", tables, err)
	}
}

func TestServerIsInUTC(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.NewDatabase(t, nil))
	var zone string
	if err := conn.QueryRow(t.Context(), "SHOW timezone").Scan(&zone); err != nil || zone != "UTC" {
		t.Fatalf("timezone = %q, err = %v", zone, err)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
