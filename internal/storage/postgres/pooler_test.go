package postgres_test

import (
	"context"
	"fmt"
	neturl "net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

const describe = "default_query_exec_mode=cache_describe"

// TestPgBouncer: through Debian's PgBouncer in either mode the service is refused until
// what the error says is set, and then migrates, works and leads.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := newHardened(t)
			through := func(p pgtest.PgBouncer, parameters ...string) fixture {
				pool, err := postgres.Open(t.Context(), p.URL(h.owner, parameters...), 16)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(pool.Close)
				return fixture{t, pool, postgres.NewOrders(pool), postgres.NewMatching(pool)}
			}
			size := "default_pool_size = 4" // sessions of PostgreSQL for two replicas
			if mode == "session" {
				size = "default_pool_size = 40"
			}
			p := pgtest.StartPgBouncer(t, h.owner, mode, size)
			refused := func(f fixture, want ...string) string {
				t.Helper()
				err := postgres.CheckSchema(t.Context(), f.pool)
				for _, text := range want {
					if err == nil || !strings.Contains(err.Error(), text) {
						t.Errorf("%v, want %q in it", err, text)
					}
				}
				return fmt.Sprint(err)
			}
			refused(through(p), "a connection pooler refuses the settings", describe)
			ignoring := pgtest.StartPgBouncer(t, h.owner, mode, "ignore_startup_parameters = lock_timeout, statement_timeout, "+
				"idle_in_transaction_session_timeout, idle_session_timeout, plan_cache_mode, enable_seqscan, enable_bitmapscan, jit")
			refused(through(ignoring), "may change the session between two statements", describe)
			m, err := postgres.NewMigrator(t.Context(), p.URL(h.owner))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Up(t.Context()); err == nil || !strings.Contains(err.Error(), describe) {
				t.Errorf("migrate without %s: %v", describe, err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			var migrators sync.WaitGroup
			for range 3 {
				migrators.Go(func() {
					if err := postgres.Migrate(t.Context(), p.URL(h.owner, describe)); err != nil {
						t.Error(err)
					}
				})
			}
			migrators.Wait()
			text := refused(through(p, describe), "the role lacks settings", "lock_timeout = '2s'", "docs/deploy.md#pgbouncer")
			if _, statements, found := strings.Cut(text, "session: "); found {
				statements, _, _ = strings.Cut(statements, "; set them")
				must(t, open(t, h.owner), statements)
			}
			p = pgtest.StartPgBouncer(t, h.owner, mode, size) // RECONNECT needs an admin
			first, second := through(p, describe), through(p, describe)
			if err := postgres.CheckSchema(t.Context(), first.pool); err != nil {
				t.Fatal(err)
			}
			worksOnTwoReplicas(first, second)
		})
	}
}

// worksOnTwoReplicas runs orders through both at the same time, and lets them lead.
func worksOnTwoReplicas(replicas ...fixture) {
	f := replicas[0]
	f.couriers(40)
	var running sync.WaitGroup
	var leading, led atomic.Int32
	for n, r := range replicas {
		for worker := range 4 {
			running.Go(func() {
				for i := range 20 {
					id := courier.OrderID(fmt.Sprintf("o-%d-%d-%d", n, worker, i))
					for _, state := range []courier.State{courier.StateWaiting, courier.StateCompleted} {
						if _, err := r.trySave(f.Context(), to(id, state)); err != nil {
							f.Errorf("%s: %v", id, err)
						}
						if _, err := r.matching.Match(f.Context(), 5); err != nil {
							f.Errorf("match: %v", err)
						}
					}
				}
			})
		}
		leader := postgres.NewLeader(r.pool, postgres.ResyncLock)
		running.Go(func() {
			for range 20 {
				ok, err := leader.Lead(f.Context(), func(ctx context.Context) error {
					if leading.Add(1) != 1 {
						f.Error("two replicas lead")
					}
					defer leading.Add(-1)
					_, err := postgres.NewHealth(r.pool).Gauges(ctx)
					return err
				})
				if err != nil {
					f.Errorf("lead: %v", err)
				}
				if ok {
					led.Add(1)
				}
			}
		})
	}
	running.Wait()
	if led.Load() == 0 {
		f.Error("no replica has led")
	}
	f.expect("160", "SELECT count(*) FROM orders WHERE state = 'completed'")
	f.expect("0", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
	f.expectNoViolations()
}

// TestOtherEncodings: text would be stored in pieces, so that the database is refused. A
// default of the database or the role for the client's encoding has no effect.
func TestOtherEncodings(t *testing.T) {
	url := pgtest.NewDatabase(t, nil)
	super := open(t, url)
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		name := strings.ToLower(super.Config().Database + "_" + encoding)
		must(t, super, "CREATE DATABASE "+quote(name)+" ENCODING '"+encoding+"' LOCALE 'C' TEMPLATE template0")
		t.Cleanup(func() {
			if _, err := super.Exec(context.Background(), "DROP DATABASE "+quote(name)+" WITH (FORCE)"); err != nil {
				t.Error(err)
			}
		})
		u, err := neturl.Parse(url)
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + name
		for command, run := range map[string]func() error{
			"migrate up": func() error { return postgres.Migrate(t.Context(), u.String()) },
			"serve":      func() error { return postgres.CheckSchema(t.Context(), openPool(t, u.String(), nil)) },
		} {
			if err := run(); err == nil || !strings.Contains(err.Error(), "its encoding is "+encoding+"; create another one") {
				t.Errorf("%s on %s: %v", command, encoding, err)
			}
		}
	}
	must(t, super, "ALTER DATABASE "+quote(super.Config().Database)+" SET client_encoding = 'LATIN1'")
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	pool := openPool(t, url, nil)
	f := fixture{t, pool, postgres.NewOrders(pool), postgres.NewMatching(pool)}
	f.exec("INSERT INTO couriers (name, phone) VALUES ($1, '+7')", "Лев")
	f.expect("3 UTF8", "SELECT length(name) || ' ' || current_setting('client_encoding') FROM couriers")
}

// TestDefaultsOfTheDatabase: settings of the database or the role that would break a session
// of the service do not reach it.
func TestDefaultsOfTheDatabase(t *testing.T) {
	url := pgtest.NewDatabase(t, postgres.Migrate)
	super := open(t, url)
	for setting, value := range map[string]string{
		"idle_session_timeout": "1ms", "standard_conforming_strings": "off", "timezone": "Asia/Tokyo",
		"statement_timeout": "1ms", "bytea_output": "escape", "default_transaction_isolation": "serializable",
	} {
		must(t, super, fmt.Sprintf("ALTER DATABASE %s SET %s = '%s'", quote(super.Config().Database), setting, value))
	}
	pool := openPool(t, url, nil)
	f := fixture{t, pool, postgres.NewOrders(pool), postgres.NewMatching(pool)}
	f.expect("0 on UTC 15s", `SELECT concat_ws(' ', current_setting('idle_session_timeout'), current_setting('standard_conforming_strings'),
		current_setting('timezone'), current_setting('statement_timeout'))`)
	if err := postgres.CheckSchema(t.Context(), pool); err != nil {
		t.Error(err)
	}
}

// TestPgBouncerStatementMode: it allows no transactions, so that nothing could be saved.
func TestPgBouncerStatementMode(t *testing.T) {
	h := newHardened(t)
	p := pgtest.StartPgBouncer(t, h.owner, "statement")
	url := p.URL(h.owner, describe)
	for command, run := range map[string]func() error{
		"migrate up": func() error { return postgres.Migrate(t.Context(), url) },
		"serve":      func() error { return postgres.CheckSchema(t.Context(), openPool(t, url, nil)) },
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "pool_mode") {
			t.Errorf("%s: %v", command, err)
		}
	}
}
