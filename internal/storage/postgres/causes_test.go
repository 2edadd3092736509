package postgres_test

import (
	"context"
	"errors"
	"net"
	neturl "net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/outage"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// TestCauses: what a real server refuses has its cause and fix, without names in what
// everyone may read.
func TestCauses(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, postgres.Migrate)
	super := open(t, database)
	prefix := super.Config().Database + "_"
	role := func(name, options string) string {
		must(t, super, "CREATE ROLE "+quote(prefix+name)+" PASSWORD 'p' "+options)
		t.Cleanup(func() {
			if _, err := super.Exec(context.Background(), "DROP ROLE "+quote(prefix+name)); err != nil {
				t.Error(err)
			}
		})
		return with(t, database, func(u *neturl.URL) { u.User = neturl.UserPassword(prefix+name, "p") })
	}
	plain, limited := role("plain", "LOGIN"), role("limited", "LOGIN CONNECTION LIMIT 0")
	closed := pgtest.NewDatabase(t, nil)
	pgtest.Interrupt(t, closed)
	checkSchema := func(url string) error { return postgres.CheckSchema(t.Context(), openPool(t, url, nil)) }
	purge := func(url string) error {
		_, err := postgres.NewDeadLetters(openPool(t, url, nil)).Purge(t.Context(), time.Hour, 1)
		return err
	}
	migrate := func(url string) error { return postgres.ExplainError(postgres.Migrate(t.Context(), url)) }
	for what, c := range map[string]struct {
		err        error
		cause, fix string
	}{
		"wrong password": {
			checkSchema(with(t, database, func(u *neturl.URL) { u.User = neturl.UserPassword("postgres", "x") })),
			"PostgreSQL refuses the password", "correct the user and the password",
		},
		"no such role, with a password": {
			checkSchema(with(t, database, func(u *neturl.URL) { u.User = neturl.UserPassword("sesame", "x") })),
			"PostgreSQL refuses the password", "correct the user and the password",
		},
		"role without login": {checkSchema(role("nologin", "NOLOGIN")), "the role does not exist or may not log in", "CREATE ROLE … LOGIN"},
		"no such database": {
			checkSchema(with(t, database, func(u *neturl.URL) { u.Path = "/sesame" })), "the database does not exist", "create the database",
		},
		"closed database":  {checkSchema(closed), "the database accepts no connections", "ALLOW_CONNECTIONS true"},
		"connection limit": {checkSchema(limited), "PostgreSQL has no free connection", "CONNECTION LIMIT"},
		"no server": {
			checkSchema(with(t, database, func(u *neturl.URL) { u.Host = "127.0.0.1:1" })), "PostgreSQL refuses connections", postgres.FixAbsent,
		},
		"no such host": {
			checkSchema(with(t, database, func(u *neturl.URL) { u.Host = "sesame.invalid:5432" })),
			"the host of DATABASE_URL does not resolve", "correct it, or the entry in DNS",
		},
		"a server without TLS": {
			checkSchema(with(t, database, func(u *neturl.URL) { u.RawQuery = "sslmode=require" })),
			"PostgreSQL offers no TLS", "sslmode=disable",
		},
		"a task that writes": {purge(limited), "PostgreSQL has no free connection", "CONNECTION LIMIT"},
		"schema of search_path is absent": {
			migrate(with(t, database, func(u *neturl.URL) { u.RawQuery += "&search_path=sesame" })),
			"search_path names no schema that exists", "create the schema of search_path, or correct DATABASE_URL",
		},
		"migrate up as a role that may not create": {
			migrate(with(t, pgtest.NewDatabase(t, nil), func(u *neturl.URL) { u.User = neturl.UserPassword(prefix+"plain", "p") })),
			"this role may not change the schema", "GRANT CREATE, USAGE ON SCHEMA",
		},
		"a standby, or a read-only database": {
			postgres.CheckWritable(t.Context(), openPool(t, with(t, database, func(u *neturl.URL) { u.RawQuery += "&default_transaction_read_only=on" }), nil)),
			"PostgreSQL is read-only", "connect to the primary",
		},
		"the schema was dropped meanwhile": {
			purge(pgtest.NewDatabase(t, nil)), "a part of the schema is missing", "run 'service-courier doctor'",
		},
		"a locked table": {
			locked(t, database), "another session holds a lock", "find and end it",
		},
		"a session that an administrator ended": {ended(t, database), "PostgreSQL ended the connection", postgres.FixAbsent},
		"a server that starts": {
			postgres.ExplainError(&pgconn.PgError{Severity: "FATAL", Code: "57P03", Message: "the database system is starting up"}),
			"PostgreSQL starts, recovers or shuts down", "wait until it has started",
		},
		"a hung server": {
			checkSchema(with(t, database, func(u *neturl.URL) { u.Host, u.RawQuery = silent(t), "connect_timeout=1&sslmode=disable" })),
			"PostgreSQL does not answer in time", "check that it runs at DATABASE_URL",
		},
		"no rights": {checkSchema(plain), "this role has no right to SELECT on service_courier_schema", "migrate grant ROLE"},
	} {
		f, ok := errors.AsType[outage.Fixable](c.err)
		if !ok || !strings.Contains(f.Detail(), c.cause) || !strings.Contains(f.Fix, c.fix) {
			t.Errorf("%s: %v, want %q and %q", what, c.err, c.cause, c.fix)
			continue
		}
		if public := outage.Public(c.err, f.Detail()); strings.Contains(public, "sesame") || strings.Contains(public, "127.0.0.1") || !strings.Contains(public, c.cause) {
			t.Errorf("%s: everyone reads %q", what, public)
		}
	}
}

// ended returns the error of a statement whose session is terminated.
func ended(t *testing.T, database string) error {
	t.Helper()
	pool := openPool(t, database, nil)
	_, err := pool.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
	return postgres.ExplainError(err)
}

// locked returns the error of a statement that waits for the lock of another session.
func locked(t *testing.T, database string) error {
	t.Helper()
	holder, err := open(t, database).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := holder.Exec(t.Context(), "LOCK TABLE resync"); err != nil {
		t.Fatal(err)
	}
	waiting := with(t, database, func(u *neturl.URL) { u.RawQuery += "&lock_timeout=1" })
	_, err = openPool(t, waiting, nil).Exec(t.Context(), "SELECT FROM resync")
	return postgres.ExplainError(err)
}

// TestLockIsTheCauseOfATimeout: a transaction that is tried again after a lock timeout, and
// then has no time left, and a match, name the lock. All belong to the
// outage of PostgreSQL, which the log has once.
func TestLockIsTheCauseOfATimeout(t *testing.T) {
	citest.Only(t, "the waits for the lock take 5 s")
	t.Parallel()
	database := pgtest.NewDatabase(t, postgres.Migrate)
	pool := openPool(t, with(t, database, func(u *neturl.URL) { u.RawQuery += "&lock_timeout=3000" }), nil)
	tries := []error{&pgconn.PgError{Code: "55P03"}, context.DeadlineExceeded}
	ofTries := postgres.NewOrders(pool).InTx(t.Context(), func(orderevent.Tx) error {
		err := tries[0]
		tries = tries[1:]
		return err
	})
	holder, err := open(t, database).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := holder.Exec(t.Context(), "LOCK TABLE orders"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond) // ends the second try
	defer cancel()
	_, ofMatch := postgres.NewMatching(pool).Match(ctx, 1)
	for what, err := range map[string]error{"tries": ofTries, "match": ofMatch} {
		if f, ok := errors.AsType[outage.Fixable](err); !ok || f.Cause != "another session holds a lock" || !postgres.Impaired(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if slow := postgres.ExplainError(context.DeadlineExceeded); !postgres.Impaired(slow) || postgres.Impaired(context.DeadlineExceeded) {
		t.Errorf("%v is the outage of PostgreSQL: %t", slow, postgres.Impaired(slow))
	}
}

// silent returns the address of a server that accepts connections and answers nothing.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// TestAttempts: without sslmode a connection is tried with TLS and without. The log shows
// why both failed, once, and not that a server that offers no TLS refused it.
func TestAttempts(t *testing.T) {
	database := pgtest.NewDatabase(t, nil)
	for what, change := range map[string]func(*neturl.URL){
		"wrong password": func(u *neturl.URL) { u.User, u.RawQuery = neturl.UserPassword("postgres", "x"), "" },
		"TLS required":   func(u *neturl.URL) { u.RawQuery = "sslmode=require" },
		"no server":      func(u *neturl.URL) { u.Host, u.RawQuery = "127.0.0.1:1", "" },
	} {
		text := postgres.CheckSchema(t.Context(), openPool(t, with(t, database, change), nil)).Error()
		if !strings.Contains(text, "127.0.0.1:") || strings.Contains(text, "refused TLS") != (what == "TLS required") || strings.Contains(text, "\n") || strings.Contains(text, " ;") {
			t.Errorf("%s: %q", what, text)
		}
		if strings.Count(text, "connection refused") > 1 {
			t.Errorf("%s: twice: %q", what, text)
		}
	}
}

// with returns a changed URL.
func with(t *testing.T, url string, change func(*neturl.URL)) string {
	t.Helper()
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}
