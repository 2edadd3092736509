package pgtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/devstack"
)

// Migrate brings the empty database at url to the schema that a test needs.
type Migrate = func(ctx context.Context, url string) error

// NewDatabase returns the URL of a database of the test's own, dropped with
// whatever is still connected when the test ends. It is a clone of a template
// that migrate fills once a process; nil leaves it empty. Functions are told
// apart by their code: two closures of one function literal share a template.
func NewDatabase(tb testing.TB, migrate Migrate) string {
	tb.Helper()
	pg, err := start()
	if err != nil {
		tb.Fatalf("pgtest: start PostgreSQL: %v", err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), databaseTimeout)
	defer cancel()
	source, err := template(ctx, pg, migrate)
	if err != nil {
		tb.Fatalf("pgtest: migrate the template database: %v", err)
	}
	name := databaseName(tb.Name())
	if err := admin(ctx, pg, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(source)); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
		defer cancel()
		if err := admin(ctx, pg, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return pg.URL(name)
}

// templates are the migrated databases by their function's code.
var templates struct {
	mu    sync.Mutex
	names map[uintptr]string
}

// template makes one at first use. One that failed is tried again under a new
// name, so that every test reports the real error.
func template(ctx context.Context, pg *devstack.Postgres, migrate Migrate) (string, error) {
	if migrate == nil {
		return "template0", nil
	}
	templates.mu.Lock()
	defer templates.mu.Unlock()
	code := reflect.ValueOf(migrate).Pointer()
	if name, ok := templates.names[code]; ok {
		return name, nil
	}
	name := databaseName("template")
	if err := pg.EnsureDatabase(ctx, name); err != nil {
		return "", err
	}
	if err := migrate(ctx, pg.URL(name)); err != nil {
		return "", err
	}
	// A clone needs a template without connections; migrate may have left one
	// that is just closing.
	if err := admin(ctx, pg, "ALTER DATABASE "+quote(name)+" ALLOW_CONNECTIONS false"); err != nil {
		return "", err
	}
	if err := admin(ctx, pg, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+name+"'"); err != nil {
		return "", err
	}
	if templates.names == nil {
		templates.names = make(map[uintptr]string)
	}
	templates.names[code] = name
	return name, nil
}

// admin runs one statement on a connection of its own: none is kept that a
// leak check would find.
func admin(ctx context.Context, pg *devstack.Postgres, statement string) (err error) {
	conn, err := pgx.Connect(ctx, pg.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

var databases atomic.Int64

// databaseName is unique in the cluster, readable in a list of databases, and
// short enough for PostgreSQL's 63 bytes.
func databaseName(test string) string {
	readable := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return '_'
		}
	}, test)
	return fmt.Sprintf("t%d_%.48s", databases.Add(1), readable)
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
