package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/storage/postgres"
)

// TestGrant: the role works with the rows of today's tables and of tomorrow's,
// and cannot change the schema, nor say what it is.
func TestGrant(t *testing.T) {
	const role = `Courier "serve"`
	database := pgtest.NewDatabase(t, postgres.Migrate)
	owner := open(t, database)
	quoted := pgx.Identifier{role}.Sanitize()
	must(t, owner, "CREATE ROLE "+quoted+" LOGIN PASSWORD 'p'")
	t.Cleanup(func() {
		_, err := owner.Exec(context.Background(), "DROP OWNED BY "+quoted+"; DROP ROLE "+quoted)
		if err != nil {
			t.Error(err)
		}
	})
	m, err := postgres.NewMigrator(database)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may be repeated
		if err := m.Grant(t.Context(), role); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "p")
	conn := open(t, u.String())
	must(t, conn, `INSERT INTO couriers (name, phone, status, transport_type) VALUES ('Lev', '+7', 'available', 'car')`)
	must(t, conn, `SELECT nextval('order_places')`)
	must(t, owner, "CREATE TABLE tomorrow (id bigserial)")
	must(t, conn, "INSERT INTO tomorrow DEFAULT VALUES")
	for _, statement := range []string{
		"CREATE TABLE mine (id int)", "DROP TABLE tomorrow", "ALTER TABLE couriers ADD COLUMN x int", "TRUNCATE couriers",
		"DELETE FROM goose_db_version", "CREATE SCHEMA mine",
	} {
		const insufficientPrivilege = "42501"
		_, err := conn.Exec(t.Context(), statement)
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != insufficientPrivilege {
			t.Errorf("%s: %v, want a refusal", statement, err)
		}
	}
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
