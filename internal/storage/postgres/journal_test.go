package postgres_test

import (
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
)

// TestJournalWaitsForTheOldestTransaction: a transaction that began first and
// commits last must not be missed by a reader that has gone on meanwhile.
func TestJournalWaitsForTheOldestTransaction(t *testing.T) {
	f := newFixture(t)
	j := postgres.NewJournal(f.pool)
	cursor, err := j.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	read := func(want ...courier.OrderID) {
		t.Helper()
		entries, err := j.After(t.Context(), cursor, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != len(want) {
			t.Fatalf("read %+v, want orders %v", entries, want)
		}
		for i, e := range entries {
			if e.OrderID != want[i] {
				t.Errorf("entry %d is of order %s, want %s", i, e.OrderID, want[i])
			}
			cursor = e.Cursor
		}
	}
	slow, err := f.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Exec(t.Context(), "INSERT INTO journal (order_id, what, source) VALUES ('slow', 'waiting', 'test')"); err != nil {
		t.Fatal(err)
	}
	f.save(to("quick", courier.StateWaiting))
	read() // quick is committed, but slow could still come before it
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	read("slow", "quick")
	read()
}
