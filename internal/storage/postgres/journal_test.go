package postgres_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
)

// journalling begins a transaction that has appended to the journal and that the
// test commits when it likes.
func (f fixture) journalling(order courier.OrderID) pgx.Tx {
	f.Helper()
	return f.holding("INSERT INTO journal (order_id, what, source) VALUES ($1, 'waiting', 'test')", order)
}

func (f fixture) commit(tx pgx.Tx) {
	f.Helper()
	if err := tx.Commit(f.Context()); err != nil {
		f.Fatal(err)
	}
}

// page reads the journal from a cursor, expects changes of those orders, and
// returns where to go on.
func (f fixture) page(from livefeed.Cursor, want ...courier.OrderID) livefeed.Cursor {
	f.Helper()
	return f.pageOf(10, from, want...)
}

// pageOf is page for a reader that takes at most limit changes.
func (f fixture) pageOf(limit int, from livefeed.Cursor, want ...courier.OrderID) livefeed.Cursor {
	f.Helper()
	changes, next, err := postgres.NewJournal(f.pool).After(f.Context(), from, limit)
	if err != nil {
		f.Fatal(err)
	}
	got := make([]courier.OrderID, len(changes))
	for i, c := range changes {
		got[i] = c.OrderID
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.Fatalf("read %v, want %v", got, want)
	}
	return next
}

func (f fixture) end() livefeed.Cursor {
	f.Helper()
	end, err := postgres.NewJournal(f.pool).End(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return end
}

// TestJournalWaitsForTheOldestTransaction: a transaction that began first and
// commits last must not be missed by a reader that has gone on meanwhile.
// Without the horizon in journal_after.sql, "quick" is read at once and "slow"
// never (tried).
func TestJournalWaitsForTheOldestTransaction(t *testing.T) {
	f := newFixture(t)
	at := f.end()
	slow := f.journalling("slow")
	f.save(to("quick", courier.StateWaiting))
	at = f.page(at) // quick is committed, but slow could still come before it
	f.commit(slow)
	at = f.page(at, "slow", "quick")
	f.page(at)
}

// TestJournalIsReadInPages: a page at a time tells the same as all at once, also of a
// transaction that began first and wrote last. It fails when a full page is taken for
// all there is, for the rest is never read then, and without the order (xid, id)
// in journal_after.sql.
func TestJournalIsReadInPages(t *testing.T) {
	f := newFixture(t)
	f.exec("ALTER TABLE journal DROP CONSTRAINT journal_pkey") // the order is the statement's, not the index's
	at := f.end()
	older := f.holding("SELECT pg_current_xact_id()")
	younger := f.journalling("younger")
	_, err := older.Exec(t.Context(), "INSERT INTO journal (order_id, what, source) VALUES ('older', 'waiting', 'test'), ('its second', 'waiting', 'test')")
	if err != nil {
		t.Fatal(err)
	}
	f.commit(younger)
	f.commit(older)
	for _, want := range []courier.OrderID{"older", "its second", "younger"} {
		at = f.pageOf(1, at, want)
	}
	f.pageOf(1, at)
}

// TestJournalLooksBack: a reader may begin some changes before the end.
func TestJournalLooksBack(t *testing.T) {
	f := newFixture(t)
	j := postgres.NewJournal(f.pool)
	latest := func(changes int) livefeed.Cursor {
		t.Helper()
		c, err := j.Latest(t.Context(), f.end(), changes)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if got := latest(2); got != f.end() {
		t.Errorf("an empty journal begins at %v, want its end %v", got, f.end())
	}
	for _, id := range []courier.OrderID{"a", "b", "c", "d"} {
		f.save(to(id, courier.StateWaiting))
	}
	f.page(latest(2), "c", "d")
	f.page(latest(10), "b", "c", "d") // behind the oldest there is
}

// TestSnapshotSaysWhatItHasSeen: what is told from the snapshot's beginning on,
// less what it has seen, is exactly what was committed after it, whichever
// transaction began first.
func TestSnapshotSaysWhatItHasSeen(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	slow := f.journalling("slow")
	f.save(to("held", courier.StateWaiting), to("quick", courier.StateWaiting), to("line", courier.StateWaiting))
	f.match(10)
	f.exec("UPDATE orders SET missing_since = now() - interval '1 minute' WHERE order_id = 'quick'")
	f.exec("UPDATE courier_orders SET assigned_at = now() - interval '1 hour', deadline = now() - interval '1 minute' WHERE order_id = 'quick'")
	f.save(to("held", courier.StateHeld))
	s, err := postgres.NewJournal(f.pool).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Couriers[courier.StatusBusy] != 1 || s.Couriers[courier.StatusAvailable] != 1 {
		t.Errorf("couriers %v, want one busy and one available", s.Couriers)
	}
	if w := s.Waiting; w.Count != 1 || len(w.First) != 1 || w.First[0].OrderID != "line" || w.First[0].Since.IsZero() {
		t.Errorf("waiting %+v", w)
	}
	if h := s.Held; h.Count != 1 || len(h.First) != 1 || h.First[0].OrderID != "held" || h.First[0].Reason != "test" {
		t.Errorf("held %+v", h)
	}
	if a := s.Assigned; a.Count != 1 || a.Late != 1 || a.Missing != 1 || len(a.First) != 1 ||
		a.First[0].OrderID != "quick" || !a.First[0].Late || a.First[0].Missing <= 0 || a.First[0].CourierID == 0 || a.First[0].Deadline.IsZero() {
		t.Errorf("assigned %+v", a)
	}
	f.save(to("after", courier.StateWaiting))
	f.commit(slow)
	var unseen []courier.OrderID
	r := livefeed.NewReader(postgres.NewJournal(f.pool), livefeed.Cursor{Tx: s.Seen.From})
	if err := r.Read(t.Context(), func(c livefeed.Change) {
		if !s.Seen.Has(c.Tx) {
			unseen = append(unseen, c.OrderID)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(unseen) != "[slow after]" {
		t.Errorf("told after the snapshot: %v, want [slow after]", unseen)
	}
}
