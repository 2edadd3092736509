package postgres_test

import (
	"context"
	"errors"
	neturl "net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/courier"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/outage"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
)

// hardened is a database without the rights that PostgreSQL gives to every role, with an
// owner of its schema and a role for the service. Neither is a superuser.
type hardened struct {
	*testing.T
	super       *pgx.Conn
	owner, role string // URLs
	roleName    string
}

func newHardened(t *testing.T) hardened {
	t.Helper()
	database := pgtest.NewDatabase(t, nil)
	h := hardened{T: t, super: open(t, database)}
	var name string
	if err := h.super.QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	ownerName := name + "_owner"
	h.roleName = name + ` "serve"` // is quoted everywhere
	owner, role, quotedName := quote(ownerName), quote(h.roleName), quote(name)
	must(t, h.super, "CREATE ROLE "+owner+" LOGIN PASSWORD 'p'; CREATE ROLE "+role+" LOGIN PASSWORD 'p'")
	t.Cleanup(func() {
		if _, err := h.super.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP OWNED BY "+owner+" CASCADE; DROP ROLE "+owner+", "+role); err != nil {
			t.Error(err)
		}
	})
	must(t, h.super, `
		REVOKE ALL ON DATABASE `+quotedName+` FROM PUBLIC;
		REVOKE ALL ON SCHEMA public FROM PUBLIC;
		ALTER DEFAULT PRIVILEGES FOR ROLE `+owner+` REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
		ALTER DEFAULT PRIVILEGES FOR ROLE `+owner+` REVOKE USAGE ON TYPES FROM PUBLIC;
		GRANT CONNECT ON DATABASE `+quotedName+` TO `+owner+` WITH GRANT OPTION;
		GRANT CREATE, USAGE ON SCHEMA public TO `+owner+` WITH GRANT OPTION`)
	as := func(user string) string {
		u, err := neturl.Parse(database)
		if err != nil {
			t.Fatal(err)
		}
		u.User = neturl.UserPassword(user, "p")
		return u.String()
	}
	h.owner, h.role = as(ownerName), as(h.roleName)
	return h
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func (h hardened) migrate() {
	h.Helper()
	if err := postgres.Migrate(h.Context(), h.owner); err != nil {
		h.Fatal(err)
	}
}

func (h hardened) grant() error {
	h.Helper()
	m, err := postgres.NewMigrator(h.Context(), h.owner)
	if err != nil {
		h.Fatal(err)
	}
	return errors.Join(m.Grant(h.Context(), h.roleName), m.Close())
}

// TestGrantInHardenedDatabase: in a database where PUBLIC has no rights, the role that
// was granted to can do all that the service does, with today's objects and with those of
// later migrations, and cannot change the schema, nor say what it is.
func TestGrantInHardenedDatabase(t *testing.T) {
	h := newHardened(t)
	h.migrate()
	for range 2 { // it may be repeated
		if err := h.grant(); err != nil {
			t.Fatal(err)
		}
	}
	pool := openPool(t, h.role, nil)
	if err := postgres.CheckSchema(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	f := fixture{t, pool, postgres.NewOrders(pool), postgres.NewMatching(pool)}
	f.couriers(2)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting))
	f.expectMatch(2, "a:1", "b:2")
	f.save(to("a", courier.StateCompleted), to("b", courier.StateHeld))
	f.save(to("a", courier.StateCancelled))
	f.exec("CALL repair_statistics()")
	health, journal := postgres.NewHealth(pool), postgres.NewJournal(pool)
	for name, run := range map[string]func() error{
		"gauges":     func() error { _, err := health.Gauges(t.Context()); return err },
		"rechecks":   func() error { _, _, err := health.Rechecks(t.Context()); return err },
		"snapshot":   func() error { _, err := journal.Snapshot(t.Context(), 0); return err },
		"journal":    func() error { _, err := journal.After(t.Context(), 0, 10); return err },
		"end":        func() error { _, err := livefeed.BeginReader(t.Context(), journal, 10); return err },
		"retention":  func() error { _, _, err := postgres.NewRetention(pool, false).Remove(t.Context(), 1, 1); return err },
		"violations": func() error { _, err := health.Violations(t.Context()); return err },
	} {
		if err := run(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, open(t, h.owner), `CREATE TYPE size AS ENUM ('small'); CREATE TABLE tomorrow (id bigserial, size size);
		CREATE FUNCTION later() RETURNS int LANGUAGE sql RETURN 1; CREATE PROCEDURE later_still() LANGUAGE sql AS 'SELECT 1'`)
	conn := open(t, h.role)
	must(t, conn, "INSERT INTO tomorrow (size) VALUES ('small'); SELECT later(); CALL later_still()")
	f.expect("true", "SELECT has_type_privilege('size', 'USAGE')")
	for _, statement := range []string{
		"CREATE TABLE mine (id int)", "DROP TABLE tomorrow", "ALTER TABLE couriers ADD COLUMN x int", "TRUNCATE couriers",
		"DELETE FROM service_courier_schema", "CREATE SCHEMA mine",
	} {
		const insufficientPrivilege = "42501"
		_, err := conn.Exec(t.Context(), statement)
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != insufficientPrivilege {
			t.Errorf("%s: %v, want a refusal", statement, err)
		}
	}
}

// TestMissingRightsAreNamed: CheckSchema names what the role may not do, and the fix
// that it names works.
func TestMissingRightsAreNamed(t *testing.T) {
	h := newHardened(t)
	h.migrate()
	pool := openPool(t, h.role, nil)
	check := func(want string) {
		t.Helper()
		err := postgres.CheckSchema(t.Context(), pool)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	check("GRANT CONNECT ON DATABASE")
	if err := h.grant(); err != nil {
		t.Fatal(err)
	}
	check("")
	owner := open(t, h.owner)
	role := quote(h.roleName)
	must(t, owner, "REVOKE EXECUTE ON FUNCTION elapsed FROM "+role+"; REVOKE DELETE ON orders FROM "+role+"; REVOKE USAGE ON SEQUENCE queue_positions FROM "+role)
	check("DELETE on orders, EXECUTE on elapsed, USAGE on queue_positions; grant this role its rights, as the owner of the schema: service-courier migrate grant ROLE")
	must(t, owner, "REVOKE USAGE ON SCHEMA public FROM "+role)
	check("no right to use the schema public; grant this role its rights, as the owner of the schema: service-courier migrate grant ROLE")
	if err := h.grant(); err != nil {
		t.Fatal(err)
	}
	check("")
}

// TestMissingRightsOnTheCatalogAreNamed: `migrate grant` cannot grant them, so the error has
// the statements of a superuser, and they work.
func TestMissingRightsOnTheCatalogAreNamed(t *testing.T) {
	h := newHardened(t)
	h.migrate()
	if err := h.grant(); err != nil {
		t.Fatal(err)
	}
	must(t, h.super, "REVOKE EXECUTE ON FUNCTION pg_control_system FROM PUBLIC; REVOKE SELECT ON pg_locks FROM PUBLIC")
	pool := openPool(t, h.role, nil)
	err := postgres.CheckSchema(t.Context(), pool)
	fixable, ok := errors.AsType[outage.Fixable](err)
	if !ok || !strings.Contains(err.Error(), "may not use PostgreSQL's pg_control_system(), pg_locks") {
		t.Fatal(err)
	}
	_, statements, _ := strings.Cut(fixable.Fix, ": ")
	must(t, h.super, statements)
	if err := postgres.CheckSchema(t.Context(), pool); err != nil {
		t.Error(err)
	}
}

// TestGrantBesideAnotherOwner: tables of another role in the same schema are left alone.
func TestGrantBesideAnotherOwner(t *testing.T) {
	h := newHardened(t)
	must(t, h.super, "CREATE TABLE theirs (id bigserial); CREATE FUNCTION their_function() RETURNS int LANGUAGE sql RETURN 1")
	h.migrate()
	if err := h.grant(); err != nil {
		t.Fatal(err)
	}
	if err := postgres.CheckSchema(t.Context(), openPool(t, h.role, nil)); err != nil {
		t.Error(err)
	}
	if _, err := open(t, h.role).Exec(t.Context(), "SELECT FROM theirs"); err == nil {
		t.Error("the role may read another role's table")
	}
}

// TestGrantWithoutTheRightToConnect: the owner of the schema may not pass on the right to
// connect; the error says who has to.
func TestGrantWithoutTheRightToConnect(t *testing.T) {
	h := newHardened(t)
	h.migrate()
	must(t, h.super, "REVOKE GRANT OPTION FOR CONNECT ON DATABASE "+quote(h.super.Config().Database)+" FROM "+quote(h.super.Config().Database+"_owner"))
	if err := h.grant(); err == nil || !strings.Contains(err.Error(), "as the owner of the database: GRANT CONNECT ON DATABASE") {
		t.Error(err)
	}
}

// TestUnsafeSchemaIsNamed: row-level security would hide rows without an error, and a
// sequence with CACHE gives an id to a row after readers have passed it.
func TestUnsafeSchemaIsNamed(t *testing.T) {
	h := newHardened(t)
	h.migrate()
	if err := h.grant(); err != nil {
		t.Fatal(err)
	}
	pool, owner := openPool(t, h.role, nil), open(t, h.owner)
	journal := postgres.NewJournal(pool)
	for change, want := range map[string]string{
		"ALTER TABLE couriers ENABLE ROW LEVEL SECURITY": "row-level security hides rows of couriers; as its owner: ALTER TABLE couriers DISABLE ROW LEVEL SECURITY; then restart",
		"ALTER SEQUENCE queue_positions CACHE 20":        "the sequence queue_positions has CACHE 20; as its owner: ALTER SEQUENCE queue_positions CACHE 1; then restart",
		"ALTER SEQUENCE journal_id_seq CACHE 20":         "the sequence journal_id_seq has CACHE 20; as its owner: ALTER SEQUENCE journal_id_seq CACHE 1; then restart",
	} {
		must(t, owner, change)
		err := postgres.CheckSchema(t.Context(), pool)
		if !errors.Is(err, postgres.ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change, err, want)
			continue
		}
		if _, end := journal.End(t.Context()); strings.Contains(change, "journal") && !errors.Is(end, postgres.ErrSchema) {
			t.Errorf("%s: the journal is read on: %v", change, end)
		}
		_, fix, _ := strings.Cut(err.Error(), "as its owner: ")
		fix, _, _ = strings.Cut(fix, "; then")
		must(t, owner, fix)
		if err := postgres.CheckSchema(t.Context(), pool); err != nil {
			t.Errorf("after %s: %v", fix, err)
		}
	}
}

// TestGrantWithSeveralOwners: the owner of the schema may not grant rights on what belongs
// to another role; the error says so, instead of a grant that changes nothing.
func TestGrantWithSeveralOwners(t *testing.T) {
	h := newHardened(t)
	h.migrate()
	owner := quote(h.super.Config().Database + "_owner")
	for _, object := range []string{"TABLE couriers", "FUNCTION elapsed"} {
		must(t, h.super, "ALTER "+object+" OWNER TO "+quote(h.super.Config().User))
		if err := h.grant(); err == nil || !strings.Contains(err.Error(), strings.Fields(object)[1]+" of "+h.super.Config().User) {
			t.Errorf("%s: %v", object, err)
		}
		must(t, h.super, "ALTER "+object+" OWNER TO "+owner)
	}
	if err := h.grant(); err != nil {
		t.Error(err)
	}
}
