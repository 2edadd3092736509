package faults

import (
	"strings"
	"testing"
	"time"

	"service-courier/internal/courier"
)

// kept are the tables of a backup.
var kept = []string{"couriers", "orders", "courier_orders", "courier_statistics", "daily_statistics", "uncounted_deliveries", "journal", "resync", "dead_letters"}

// TestDatabaseIsRestored: the database is restored from a backup older than the committed
// offsets, so that Kafka delivers nothing again. `resync` must find the orders that were
// created or ended since.
func TestDatabaseIsRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	w.front.unlisted.Store(true)
	stop := w.serve()
	old := w.create(10)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 10 })
	w.exec("CREATE SCHEMA backup")
	for _, table := range kept {
		w.exec("CREATE TABLE backup." + table + " AS TABLE " + table)
	}
	recent := w.create(10)
	w.setStatus("completed", append(old[:4:4], recent[:4]...)...)
	w.converges()
	w.allCommitted()
	stop()

	w.exec("TRUNCATE " + strings.Join(kept, ", "))
	for _, table := range kept {
		w.exec("INSERT INTO " + table + " OVERRIDING SYSTEM VALUE TABLE backup." + table)
	}
	if n := len(w.differences()); n != 4+10 {
		t.Fatalf("the backup is behind by %d orders, want 14", n)
	}
	w.front.unlisted.Store(false)
	resync := w.play("resync")
	select {
	case <-resync.Done():
	case <-time.After(patience):
		t.Fatal("resync does not end")
	}
	if code := resync.ExitCode(); code != 0 {
		t.Errorf("resync ended with %d", code)
	}
	w.converges()
	w.nothingHappenedTwice()
}
