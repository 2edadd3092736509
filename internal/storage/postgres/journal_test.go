package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
)

// journalling begins a transaction that has appended to the journal; the test commits
// it.
func (f fixture) journalling(order courier.OrderID) pgx.Tx {
	f.Helper()
	return f.holding("INSERT INTO journal (order_id, state, source) VALUES ($1, 'waiting', 'test')", order)
}

func (f fixture) commit(tx pgx.Tx) {
	f.Helper()
	if err := tx.Commit(f.Context()); err != nil {
		f.Fatal(err)
	}
}

// reader begins at the end of the journal.
func (f fixture) reader() *livefeed.Reader {
	f.Helper()
	r, err := livefeed.BeginReader(f.Context(), postgres.NewJournal(f.pool), 0)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// reads reads what is there, and expects changes of these orders.
func (f fixture) reads(r *livefeed.Reader, want ...courier.OrderID) {
	f.Helper()
	var got []courier.OrderID
	if err := r.Read(f.Context(), 0, func(c livefeed.Change) { got = append(got, c.OrderID) }); err != nil {
		f.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.Fatalf("read %v, want %v", got, want)
	}
}

// TestJournalWaitsForItsWriters: a reader must not miss a transaction that took its id
// first and is committed last.
func TestJournalWaitsForItsWriters(t *testing.T) {
	f := newFixture(t)
	r := f.reader()
	slow := f.journalling("slow")
	f.save(to("quick", courier.StateWaiting))
	f.reads(r) // quick is committed, but slow is to come before it
	f.reads(r)
	f.commit(slow)
	f.reads(r, "slow", "quick")
	f.reads(r)
}

// TestJournalPassesWhatWasRolledBack: also while other transactions write the journal
// all the time, and when a server process is killed between its write and its commit.
func TestJournalPassesWhatWasRolledBack(t *testing.T) {
	f := newFixture(t)
	r := f.reader()
	gone := f.journalling("gone")
	f.save(to("a", courier.StateWaiting))
	later := f.journalling("later")
	f.reads(r)
	var pid int
	if err := gone.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	f.exec("SELECT pg_terminate_backend($1, 10000)", pid)
	next := f.journalling("next")
	f.reads(r) // a reader cannot know that it was not later that took the missing id
	f.commit(later)
	f.reads(r, "a", "later")
	f.commit(next)
	f.reads(r, "next")
}

// TestJournalWaitsForItsPreparedWriters: a prepared transaction has another name than
// the one that took the id.
func TestJournalWaitsForItsPreparedWriters(t *testing.T) {
	f := newFixture(t)
	r := f.reader()
	prepared := f.holding("INSERT INTO journal (order_id, state, source) VALUES ('prepared', 'waiting', 'test')")
	f.save(to("a", courier.StateWaiting))
	f.reads(r)
	if _, err := prepared.Exec(t.Context(), "PREPARE TRANSACTION '"+f.one("current_database()")+"'"); err != nil {
		t.Fatal(err)
	}
	_ = prepared.Rollback(t.Context()) // it is no longer a transaction of the session
	f.reads(r)
	writers, err := postgres.NewJournal(f.pool).Writers(t.Context())
	if err != nil || len(writers) != 1 || writers[0].PID != 0 {
		t.Errorf("writers %v, %v; want the prepared transaction", writers, err)
	}
	f.exec("COMMIT PREPARED '" + f.one("current_database()") + "'")
	f.reads(r, "prepared", "a")
}

// TestJournalOfARepeatableReadDatabase: the default isolation of the database does not
// let a reader see a writer's end before its rows.
func TestJournalOfARepeatableReadDatabase(t *testing.T) {
	f := newFixture(t)
	f.exec("DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET default_transaction_isolation = serializable'; END $$")
	f.pool.Reset()
	r := f.reader()
	slow := f.journalling("slow")
	f.save(to("quick", courier.StateWaiting))
	f.reads(r)
	f.commit(slow)
	f.reads(r, "slow", "quick")
}

// TestJournalIsReadInPages: a transaction of more rows than a page, among others that
// are rolled back.
func TestJournalIsReadInPages(t *testing.T) {
	f := newFixture(t)
	r := f.reader()
	var want []courier.OrderID
	for i := range 3 {
		if err := f.journalling("gone").Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.exec("INSERT INTO journal (order_id, state, source) SELECT $1 || i, 'waiting', 'test' FROM generate_series(1, 600) i", fmt.Sprintf("%d-", i))
		for j := range 600 {
			want = append(want, courier.OrderID(fmt.Sprintf("%d-%d", i, j+1)))
		}
	}
	f.reads(r, want...)
	f.reads(r)
}

// TestJournalIsReplaced: a reader does not go on in a journal that was truncated or
// created again, even where the ids rise.
func TestJournalIsReplaced(t *testing.T) {
	f := newFixture(t)
	r := f.reader()
	f.save(to("a", courier.StateWaiting))
	f.reads(r, "a")
	f.exec("TRUNCATE journal")
	f.save(to("b", courier.StateWaiting))
	if err := r.Read(t.Context(), 0, func(livefeed.Change) {}); !errors.Is(err, livefeed.ErrReplaced) {
		t.Errorf("Read: %v, want ErrReplaced", err)
	}
}

// TestJournalTakesNoIdsInAdvance: an id that a session took before its transaction would
// come too late.
func TestJournalTakesNoIdsInAdvance(t *testing.T) {
	newFixture(t).expect("1", "SELECT cache_size FROM pg_sequences WHERE sequencename = 'journal_id_seq'")
}

// TestReaderBeginsSomeChangesBeforeTheEnd: or at the oldest there is.
func TestReaderBeginsSomeChangesBeforeTheEnd(t *testing.T) {
	f := newFixture(t)
	begin := func(changes int) *livefeed.Reader {
		t.Helper()
		r, err := livefeed.BeginReader(t.Context(), postgres.NewJournal(f.pool), changes)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	f.reads(begin(2))
	for _, id := range []courier.OrderID{"a", "b", "c", "d"} {
		f.save(to(id, courier.StateWaiting))
	}
	f.reads(begin(2), "c", "d")
	f.reads(begin(10), "b", "c", "d") // behind the oldest there is
}

// TestSnapshotAndJournalFitTogether: the changes behind a position, without those that
// the snapshot includes, are exactly what was committed after it.
func TestSnapshotAndJournalFitTogether(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	f.exec("UPDATE couriers SET status = 'paused', deleted_at = now() WHERE id = 3")
	r := f.reader()
	slow := f.journalling("slow")
	f.save(to("held", courier.StateWaiting), to("quick", courier.StateWaiting), to("line", courier.StateWaiting))
	f.match(10)
	f.exec("UPDATE orders SET missing_since = now() - interval '1 minute' WHERE order_id = 'quick'")
	f.exec("UPDATE courier_orders SET assigned_at = now() - interval '1 hour', deadline = now() - interval '1 minute' WHERE order_id = 'quick'")
	f.save(to("held", courier.StateHeld))
	s, err := postgres.NewJournal(f.pool).Snapshot(t.Context(), r.At().ID)
	if err != nil {
		t.Fatal(err)
	}
	if s.Couriers[courier.StatusBusy] != 1 || s.Couriers[courier.StatusAvailable] != 1 || s.Couriers[courier.StatusPaused] != 0 {
		t.Errorf("couriers %v, want one busy and one available; a deleted one does not count", s.Couriers)
	}
	if w := s.Waiting; w.Count != 1 || len(w.First) != 1 || w.First[0].OrderID != "line" || w.First[0].Since.IsZero() {
		t.Errorf("waiting %+v", w)
	}
	if h := s.Held; h.Count != 1 || len(h.First) != 1 || h.First[0].OrderID != "held" || h.First[0].Reason != "test" {
		t.Errorf("held %+v", h)
	}
	if a := s.Assigned; a.Count != 1 || a.Overdue != 1 || a.Missing != 1 || len(a.First) != 1 ||
		a.First[0].OrderID != "quick" || !a.First[0].Overdue || a.First[0].Missing <= 0 || a.First[0].CourierID == 0 || a.First[0].Deadline.IsZero() {
		t.Errorf("assigned %+v", a)
	}
	f.save(to("after", courier.StateWaiting))
	f.commit(slow)
	var unseen []courier.OrderID
	if err := r.Read(t.Context(), 0, func(c livefeed.Change) {
		if !slices.Contains(s.Included, c.ID) {
			unseen = append(unseen, c.OrderID)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(unseen) != "[slow after]" {
		t.Errorf("changes after the snapshot: %v, want [slow after]", unseen)
	}
}
