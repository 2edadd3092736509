package postgres_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/storage/postgres"
)

// TestIndexesLeftHalfBuiltAreBuiltAnew: a migration that was interrupted leaves an
// index that takes every write and answers no query, under the name of the one that
// was to be. The next run must not take it for that one, as IF NOT EXISTS does.
func TestIndexesLeftHalfBuiltAreBuiltAnew(t *testing.T) {
	url := pgtest.NewDatabase(t, postgres.Migrate)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }() // the test's own context has ended
	m, err := postgres.NewMigrator(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	want := indexes(t, conn)
	const beside = 8 // migrations, the latest first: all that build an index beside the writers
	for range beside {
		if _, err := m.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before, halfBuilt := indexes(t, conn), 0
	for name, index := range want {
		if _, there := before[name]; there || (index.Table != "orders" && index.Table != "courier_orders") {
			continue
		}
		halfBuilt++
		for _, sql := range []string{
			"CREATE INDEX " + name + " ON " + index.Table + " (order_id)",
			"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '" + name + "'::regclass",
		} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	if halfBuilt < 6 {
		t.Fatalf("%d indexes are half built, want all that are built beside the writers", halfBuilt)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, indexes(t, conn)); diff != "" {
		t.Errorf("the indexes are not those of a new database (-want +got):\n%s", diff)
	}
}

// index is one of the schema, as the catalog has it.
type index struct {
	Table, Definition string
	Valid             bool
}

func indexes(t *testing.T, conn *pgx.Conn) map[string]index {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT indexrelid::regclass::text, indrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid
		FROM pg_index JOIN pg_class c ON c.oid = indexrelid
		WHERE c.relnamespace = 'public'::regnamespace`)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]index)
	var name string
	var one index
	if _, err := pgx.ForEachRow(rows, []any{&name, &one.Table, &one.Definition, &one.Valid}, func() error {
		all[name] = one
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}
