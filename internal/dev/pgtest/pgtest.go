// Package pgtest gives each test a database on a real PostgreSQL. A test process starts
// a private server on first use; each database is a clone of a template that is
// migrated once. Test processes share nothing and leave nothing behind, even when
// killed, except an empty cluster in the user's cache directory, which they copy.
//
// It is for tests only. It reads PG_BIN_DIR from the environment.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/dev/devpostgres"
)

const (
	startTimeout    = 5 * time.Minute // a first run may download the binaries
	stopTimeout     = 20 * time.Second
	databaseTimeout = time.Minute
)

// server of this process, from first use to Stop.
var server struct {
	mu      sync.Mutex
	started bool
	pg      *devpostgres.Server
	err     error
}

// Main runs the tests of a package and stops the server. For TestMain:
//
//	func TestMain(m *testing.M) {
//		code := pgtest.Main(m)
//		if code == 0 { … goleak.Find() … }
//		os.Exit(code)
//	}
func Main(m *testing.M) int {
	code := m.Run()
	if err := Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest: stop PostgreSQL:", err)
		return max(code, 1)
	}
	return code
}

// Stop stops the server, if it was started, and removes its data. Main calls it.
// NewDatabase fails afterwards.
func Stop() error {
	server.mu.Lock()
	defer server.mu.Unlock()
	pg := server.pg
	server.started, server.pg, server.err = true, nil, errors.New("PostgreSQL was stopped")
	if pg == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return pg.Stop(ctx)
}

// start returns the server. It does not retry after a failure.
func start() (*devpostgres.Server, error) {
	server.mu.Lock()
	defer server.mu.Unlock()
	if server.started {
		return server.pg, server.err
	}
	server.started = true
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server.pg, server.err = devpostgres.Start(ctx, devpostgres.Config{
		BinDir:         os.Getenv("PG_BIN_DIR"),
		Fast:           true,
		Template:       true,
		MaxConnections: 300,
		Settings:       map[string]string{"max_prepared_transactions": "8"},
		Progress:       os.Stderr,
		Logger:         slog.New(slog.DiscardHandler),
	})
	return server.pg, server.err
}

// Migrate creates the schema in the empty database at url.
type Migrate = func(ctx context.Context, url string) error

// NewDatabase returns the URL of a new database, which is dropped when the test ends,
// even with open connections. It is a clone of a template that migrate fills once
// per process; with nil it is empty. Functions are compared by their code: closures
// of one function literal share a template.
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

// Patient returns a URL for connections of the test itself: while the machine is busy, one may
// take longer than the service waits.
func Patient(database string) string {
	u, err := url.Parse(database)
	if err != nil {
		panic(err) // it is from NewDatabase
	}
	q := u.Query()
	q.Set("connect_timeout", strconv.Itoa(int(databaseTimeout/time.Second)))
	u.RawQuery = q.Encode()
	return u.String()
}

// Interrupt ends the connections to a database of NewDatabase and refuses new ones until
// resume is called.
func Interrupt(tb testing.TB, database string) (resume func()) {
	tb.Helper()
	cfg, err := pgx.ParseConfig(database)
	if err != nil {
		tb.Fatal(err)
	}
	pg, err := start()
	if err != nil {
		tb.Fatal(err)
	}
	if err := disconnect(tb.Context(), pg, cfg.Database); err != nil {
		tb.Fatal(err)
	}
	return func() {
		tb.Helper()
		if err := admin(tb.Context(), pg, "ALTER DATABASE "+quote(cfg.Database)+" ALLOW_CONNECTIONS true"); err != nil {
			tb.Fatal(err)
		}
	}
}

// disconnect ends the connections to a database and refuses new ones.
func disconnect(ctx context.Context, pg *devpostgres.Server, name string) error {
	if err := admin(ctx, pg, "ALTER DATABASE "+quote(name)+" ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	return admin(ctx, pg, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+name+"'")
}

// templates by the code of their Migrate function.
var templates struct {
	mu    sync.Mutex
	names map[uintptr]string
}

// template creates a template on first use. After a failure it tries again with a new
// name, so that every test reports the real error.
func template(ctx context.Context, pg *devpostgres.Server, migrate Migrate) (string, error) {
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
	// A template must have no connections; one of migrate may still be closing.
	if err := disconnect(ctx, pg, name); err != nil {
		return "", err
	}
	if templates.names == nil {
		templates.names = make(map[uintptr]string)
	}
	templates.names[code] = name
	return name, nil
}

// admin runs one statement on a new connection, and closes it for leak checks.
func admin(ctx context.Context, pg *devpostgres.Server, statement string) (err error) {
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

// databaseName is unique, readable and within PostgreSQL's 63 bytes.
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
