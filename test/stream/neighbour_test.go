package stream

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/dev/pgtest"
)

// TestNeighboursDoNotHoldTheFeed: transactions that do not write the journal have no
// effect on it, however long they stay open: in another database of the server and in
// this one, reading, writing, or prepared and forgotten.
func TestNeighboursDoNotHoldTheFeed(t *testing.T) {
	w := newWorld(t)
	other := pgtest.NewDatabase(t, nil)
	for _, n := range []struct{ url, begin, do, end string }{
		{other, "BEGIN", "CREATE TABLE t (); SELECT pg_current_xact_id()", ""},
		{other, "BEGIN", "CREATE TABLE prepared ()", "PREPARE TRANSACTION 'neighbour'"},
		{w.url, "BEGIN", "INSERT INTO couriers (name, phone) VALUES ('open', '+1')", ""},
		{w.url, "BEGIN", "CREATE TABLE strangers (); SELECT pg_current_xact_id()", "PREPARE TRANSACTION 'stranger'"},
		{w.url, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM journal", ""},
	} {
		conn, err := pgx.Connect(t.Context(), n.url)
		w.must(err)
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		for _, statement := range []string{n.begin, n.do, n.end} {
			_, err = conn.Exec(t.Context(), statement)
			w.must(err)
		}
		if n.end != "" {
			t.Cleanup(func() {
				_, err := conn.Exec(context.WithoutCancel(t.Context()), "ROLLBACK PREPARED '"+n.end[len("PREPARE TRANSACTION '"):])
				w.must(err)
			})
		}
	}
	l, err := w.listen("")
	w.must(err)
	defer func() { _ = l.body.Close() }()
	_, err = w.pool.Exec(t.Context(), appended, "change")
	w.must(err)
	if got, _ := w.orders(l, 1); len(got) != 1 || got[0] != "change" {
		t.Errorf("received %v, want the change", got)
	}
}
