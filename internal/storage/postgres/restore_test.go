package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/devpostgres"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/outbox"
)

// run runs a client program of PostgreSQL.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		citest.Missing(t, name+" (Debian: postgresql-client)")
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// newCluster starts another PostgreSQL server.
func newCluster(t *testing.T, settings map[string]string) *devpostgres.Server {
	t.Helper()
	server, err := devpostgres.Start(t.Context(), devpostgres.Config{Fast: true, BinDir: os.Getenv("PG_BIN_DIR"), Settings: settings, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return server
}

// newDatabase creates an empty database and returns its URL.
func newDatabase(t *testing.T, server *devpostgres.Server, name string) string {
	t.Helper()
	if err := server.EnsureDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return server.URL(name)
}

// fixtureOf is the fixture of an existing database.
func fixtureOf(t *testing.T, url string) fixture {
	t.Helper()
	pool, err := postgres.Open(t.Context(), pgtest.Patient(url), 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return fixture{t, pool, postgres.NewOrders(pool), postgres.NewMatching(pool)}
}

// spendTransactionIDs raises the next transaction id of the cluster.
func (f fixture) spendTransactionIDs(n int) {
	f.Helper()
	f.exec(fmt.Sprintf(`DO $$ BEGIN
		CREATE TABLE spent ();
		FOR i IN 1..%d LOOP
			BEGIN INSERT INTO spent DEFAULT VALUES; EXCEPTION WHEN OTHERS THEN RAISE; END;
		END LOOP;
		DROP TABLE spent;
	END $$`, n))
}

// TestDumpIsRestoredIntoAnotherCluster: a dump is restored into a cluster whose
// transaction ids are lower, or higher. The feed sends no old change again, a cursor of
// the former database is not used, RETENTION removes what is old, and orders go on.
func TestDumpIsRestoredIntoAnotherCluster(t *testing.T) {
	t.Parallel()
	from := pgtest.NewDatabase(t, postgres.Migrate)
	f := fixtureOf(t, from)
	f.couriers(2)
	f.spendTransactionIDs(20_000)
	reader := f.reader()
	f.save(to("old", courier.StateWaiting), to("open", courier.StateWaiting))
	f.match(2)
	f.save(to("old", courier.StateCompleted))
	f.reads(reader, "old", "open", "old", "open", "old")
	dump := filepath.Join(t.TempDir(), "courier.dump")
	run(t, "pg_dump", "--format=custom", "--file="+dump, "--dbname="+from)

	cluster := newCluster(t, nil)
	for _, c := range []struct {
		name, url string
		spent     int
	}{
		{"younger cluster", newDatabase(t, cluster, "younger"), 0},
		{"same cluster", pgtest.NewDatabase(t, nil), 0},
		{"older cluster", newDatabase(t, cluster, "older"), 60_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := c.url
			fixtureOf(t, url).spendTransactionIDs(c.spent)
			run(t, "pg_restore", "--exit-on-error", "--dbname="+url, dump)
			if err := postgres.Migrate(t.Context(), url); err != nil {
				t.Fatal(err)
			}
			f := fixtureOf(t, url)
			restored := f.reader()
			old := livefeed.NewReader(postgres.NewJournal(f.pool), reader.At())
			if err := old.Read(t.Context(), 0, func(livefeed.Change) {}); !errors.Is(err, livefeed.ErrReplaced) {
				t.Errorf("a cursor of the former database: %v, want ErrReplaced", err)
			}
			f.save(to("new", courier.StateWaiting))
			f.reads(restored, "new")
			f.match(1)
			f.save(to("open", courier.StateCompleted))
			f.reads(restored, "new", "open")
			f.exec("UPDATE journal SET at = now() - interval '3 days' WHERE order_id = 'old'")
			rows, orders, err := postgres.NewRetention(f.pool, false).Remove(t.Context(), 48*time.Hour, 100)
			if err != nil || rows != 3 || orders != 1 {
				t.Errorf("RETENTION removed %d rows and %d orders, %v; want 3 and 1", rows, orders, err)
			}
			f.expectNoViolations()
		})
	}
}

// published is a broker that keeps every event.
type published struct{ events []outbox.Event }

func (p *published) Publish(_ context.Context, events []outbox.Event) error {
	p.events = append(p.events, events...)
	return nil
}

// TestEventsAfterARestore: what a restored database still knows has the same event_id, and
// what happens from then on has none that was published after the backup. Its sequence is
// above those, which distinguishes it for a consumer from a repeated event.
func TestEventsAfterARestore(t *testing.T) {
	t.Parallel()
	from, into := pgtest.NewDatabase(t, postgres.Migrate), pgtest.NewDatabase(t, nil)
	topic := &published{}
	publish := func(f fixture) []outbox.Event {
		t.Helper()
		began := len(topic.events)
		if err := outbox.New(postgres.NewJournal(f.pool), postgres.NewOutbox(f.pool), topic).Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		return topic.events[began:]
	}
	f := fixtureOf(t, from)
	f.couriers(1)
	publish(f)
	f.save(to("a", courier.StateWaiting))
	dump := filepath.Join(t.TempDir(), "courier.dump")
	run(t, "pg_dump", "--format=custom", "--file="+dump, "--dbname="+from)
	first := publish(f)
	f.match(1)
	lost := publish(f)

	run(t, "pg_restore", "--exit-on-error", "--dbname="+into, dump)
	for range 2 { // the second one changes nothing
		if err := postgres.Migrate(t.Context(), into); err != nil {
			t.Fatal(err)
		}
	}
	f = fixtureOf(t, into)
	f.expect("10000000001", "SELECT last_value FROM journal_id_seq")
	f.save(to("a", courier.StateCancelled))
	lag, err := postgres.NewOutbox(f.pool).Lag(t.Context())
	if err != nil || lag.Pending != 2 {
		t.Errorf("lag %+v, %v; want two transitions", lag, err)
	}
	again := publish(f)
	if len(first) != 1 || len(lost) != 1 || len(again) != 2 || again[0] != first[0] || again[1].Sequence <= lost[0].Sequence {
		t.Errorf("published %v and %v, after the restore %v", first, lost, again)
	}
}

// TestSequencesAfterLogicalReplication: logical replication, such as for an upgrade of
// PostgreSQL, copies the rows but not the sequences. Until `migrate up` has advanced them,
// nothing is saved, and no record becomes a dead letter because of it.
func TestSequencesAfterLogicalReplication(t *testing.T) {
	t.Parallel()
	server := newCluster(t, map[string]string{"wal_level": "logical"})
	from, into := newDatabase(t, server, "before"), pgtest.NewDatabase(t, postgres.Migrate)
	if err := postgres.Migrate(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	f := fixtureOf(t, from)
	f.couriers(3)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting), to("c", courier.StateWaiting))
	f.match(2)
	f.exec("CREATE PUBLICATION upgrade FOR ALL TABLES")
	f.exec("SELECT pg_create_logical_replication_slot('upgrade', 'pgoutput')")

	f = fixtureOf(t, into)
	f.exec("TRUNCATE service_courier_schema")
	f.exec("CREATE SUBSCRIPTION upgrade CONNECTION '" + from + "' PUBLICATION upgrade WITH (create_slot = false, slot_name = 'upgrade')")
	f.eventually("true", "SELECT count(*) = 5 FROM journal")
	f.eventually("true", "SELECT count(*) = 3 FROM couriers")
	f.eventually("true", "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
	f.exec("DROP SUBSCRIPTION upgrade")
	_, err := f.trySave(t.Context(), to("d", courier.StateWaiting))
	if !errors.Is(err, courier.ErrUnavailable) || errors.Is(err, orderevent.ErrRefused) {
		t.Errorf("with the sequences behind: %v, want ErrUnavailable", err)
	}
	if err := postgres.Migrate(t.Context(), into); err != nil {
		t.Fatal(err)
	}
	r := f.reader()
	f.save(to("d", courier.StateWaiting))
	f.reads(r, "d")
	f.match(1)
	f.expect("4", "SELECT count(DISTINCT number) FROM orders")
	f.expect("c", "SELECT order_id FROM courier_orders WHERE order_id IN ('c', 'd')")
	f.exec("INSERT INTO couriers (name, phone) VALUES ('new', '+79990000000')")
	f.expectNoViolations()
}

// eventually polls until the query gives the value.
func (f fixture) eventually(want, sql string) {
	f.Helper()
	for deadline := time.Now().Add(time.Minute); f.one(sql) != want; <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("%s = %s, want %s", sql, f.one(sql), want)
		}
	}
}
