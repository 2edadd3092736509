package postgres_test

import (
	"context"
	"errors"
	neturl "net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

// gooseTable is the version table of any program that uses goose, and of unreleased
// versions of this one.
const gooseTable = `CREATE TABLE goose_db_version (id serial PRIMARY KEY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp DEFAULT now());
	INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (13, true)`

// TestSchemaIsRecognised: our schema is made in an empty database and beside another
// program's tables, but not where another schema uses our names.
func TestSchemaIsRecognised(t *testing.T) {
	const migrated = "" // afterwards the schema is there
	for name, c := range map[string]struct{ before, check, want string }{
		"empty database": {
			"", "database schema is missing; run 'service-courier migrate up'", migrated,
		},
		"goose table of another program": {
			gooseTable + `; CREATE TABLE invoices (id bigint)`, "database schema is missing; run 'service-courier migrate up'", migrated,
		},
		"goose table and couriers of another program": {
			gooseTable + `; CREATE TABLE couriers (id bigint)`,
			"database schema belongs to another program, which has couriers; use another database", "belongs to another program",
		},
		"type of another program": {
			`CREATE TYPE order_state AS ENUM ('new')`,
			"database schema belongs to another program, which has order_state; use another database", "belongs to another program",
		},
		"older schema of ours": {
			gooseTable + `; CREATE TABLE couriers (id bigint); CREATE TABLE orders (id bigint); CREATE TABLE courier_orders (id bigint);
			CREATE TABLE journal (id bigint); CREATE TABLE dead_letters (id bigint)`,
			"database schema is that of an unreleased version of service-courier and cannot be upgraded; use another database", "unreleased version",
		},
		"tables of another program in another schema": {
			`CREATE SCHEMA theirs; CREATE TABLE theirs.couriers (id bigint)`, "database schema is missing; run", migrated,
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.NewDatabase(t, nil)
			pool := openPool(t, url, nil)
			if _, err := pool.Exec(t.Context(), c.before); err != nil {
				t.Fatal(err)
			}
			if err := postgres.CheckSchema(t.Context(), pool); !errors.Is(err, postgres.ErrSchema) || !strings.HasPrefix(err.Error(), c.check) {
				t.Errorf("CheckSchema: %v, want %s", err, c.check)
			}
			err := postgres.Migrate(t.Context(), url)
			if c.want == migrated && err == nil {
				err = postgres.CheckSchema(t.Context(), pool)
			}
			if c.want == migrated && err != nil || c.want != migrated && (!errors.Is(err, postgres.ErrSchema) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("after migrate up: %v, want %q", err, c.want)
			}
		})
	}
}

// TestSchemaNewerThanTheProgram: the program works with it, and does not roll it back.
func TestSchemaNewerThanTheProgram(t *testing.T) {
	f := newFixture(t)
	f.exec("INSERT INTO service_courier_schema (version_id, is_applied) VALUES (99, true)")
	if err := postgres.CheckSchema(t.Context(), f.pool); err != nil {
		t.Error(err)
	}
	m := newMigrator(t, f)
	if applied, err := m.Up(t.Context()); err != nil || len(applied) > 0 {
		t.Errorf("Up: %v, %v", applied, err)
	}
	if _, err := m.Down(t.Context()); err == nil || !strings.Contains(err.Error(), "newer than this program (version 99, this program has 1); use the program that applied it") {
		t.Errorf("Down: %v", err)
	}
}

// TestSchemaBesideAnother: the fix that the refusals name works.
func TestSchemaBesideAnother(t *testing.T) {
	url := pgtest.NewDatabase(t, nil)
	must(t, open(t, url), "CREATE TABLE couriers (id bigint); CREATE SCHEMA ours")
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("search_path", "ours")
	u.RawQuery = query.Encode()
	if err := postgres.Migrate(t.Context(), u.String()); err != nil {
		t.Fatal(err)
	}
	pool := openPool(t, u.String(), nil)
	f := fixture{t, pool, postgres.NewOrders(pool), postgres.NewMatching(pool)}
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.expectMatch(1, "a:1")
	f.save(to("a", courier.StateCompleted))
	f.expectNoViolations()
}

// TestConcurrentMigrators: as when several replicas start with a new database.
func TestConcurrentMigrators(t *testing.T) {
	url := pgtest.NewDatabase(t, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestSchemaOutOfDate(t *testing.T) {
	f := newFixture(t)
	f.exec("UPDATE service_courier_schema SET version_id = version_id - 1 WHERE version_id > 0")
	f.exec("INSERT INTO service_courier_schema (version_id, is_applied) VALUES (0, true)")
	if err := postgres.CheckSchema(t.Context(), f.pool); !errors.Is(err, postgres.ErrSchema) {
		t.Error(err)
	}
}

// TestSchemaIsIncomplete: a version table says nothing about tables that a partial restore or
// a DROP TABLE left out. A newer schema may lack some.
func TestSchemaIsIncomplete(t *testing.T) {
	for _, drop := range []string{"DROP TABLE dead_letters", "DROP INDEX journal_of_order", "DROP TABLE couriers, courier_orders, orders, journal CASCADE"} {
		url := pgtest.NewDatabase(t, postgres.Migrate)
		pool := openPool(t, url, nil)
		if _, err := pool.Exec(t.Context(), drop); err != nil {
			t.Fatal(err)
		}
		for command, err := range map[string]error{"serve": postgres.CheckSchema(t.Context(), pool), "migrate up": postgres.Migrate(t.Context(), url)} {
			if !errors.Is(err, postgres.ErrSchema) || !strings.Contains(err.Error(), "incomplete") {
				t.Errorf("%s after %s: %v", command, drop, err)
			}
		}
		if _, err := pool.Exec(t.Context(), "INSERT INTO service_courier_schema (version_id, is_applied) VALUES (9999, true)"); err != nil {
			t.Fatal(err)
		}
		if err := postgres.CheckSchema(t.Context(), pool); err != nil {
			t.Errorf("newer schema: %v", err)
		}
	}
}

// TestMigrateDownAndUp: rolling back leaves nothing behind, and the schema can be made again.
func TestMigrateDownAndUp(t *testing.T) {
	f := newFixture(t)
	m := newMigrator(t, f)
	before := f.schema()
	for _, want := range []string{"00001_init.sql", ""} {
		if name, err := m.Down(t.Context()); err != nil || name != want {
			t.Fatalf("Down = %q, %v; want %q", name, err, want)
		}
	}
	f.expect("service_courier_schema", "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
	f.expect("0", "SELECT count(*) FROM pg_type t WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'")
	f.expect("0", "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
	if applied, err := m.Up(t.Context()); err != nil || len(applied) != 1 {
		t.Fatalf("Up = %v, %v", applied, err)
	}
	if diff := cmp.Diff(before, f.schema()); diff != "" {
		t.Error(diff)
	}
}

func newMigrator(t *testing.T, f fixture) *postgres.Migrator {
	t.Helper()
	m, err := postgres.NewMigrator(t.Context(), f.pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// schema returns the columns and indexes of the schema.
func (f fixture) schema() []string {
	f.Helper()
	rows, err := f.pool.Query(f.Context(), `
		SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod)) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
		WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND relname <> 'service_courier_schema'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		ORDER BY 1`)
	if err != nil {
		f.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		f.Fatal(err)
	}
	return all
}

// TestCouriersOfOtherPrograms: clients insert couriers with literals, with parameters
// of no type, and with parameters that they declare to be text.
func TestCouriersOfOtherPrograms(t *testing.T) {
	f := newFixture(t)
	f.exec(`INSERT INTO couriers (name, phone, status, transport_type) VALUES ('a', '1', 'available', 'car')`)
	f.exec(`INSERT INTO couriers (name, phone, status, transport_type) VALUES ($1, $2, $3, $4)`, "b", "2", "paused", "scooter")
	f.exec(`INSERT INTO couriers (name, phone, status, transport_type) VALUES ($1, $2, $3::text, $4::varchar)`, "c", "3", "available", "on_foot")
	f.exec(`INSERT INTO couriers (name, phone) SELECT 'd', '4'`)
	f.exec(`UPDATE couriers SET status = $1::varchar, transport_type = CASE WHEN true THEN 'car' ELSE 'scooter' END WHERE name = 'd'`, "paused")
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheDescribe} {
		f.exec(`UPDATE couriers SET status = $1, transport_type = $2 WHERE name = 'c' AND status = $3`, mode, "available", "car", "available")
	}
	f.expect("a available car, b paused scooter, c available car, d paused car",
		"SELECT string_agg(concat_ws(' ', name, status, transport_type), ', ' ORDER BY id) FROM couriers")
}

func open(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the test's own context has ended
	return conn
}

func must(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
