package faults

import (
	"testing"
	"time"

	"service-courier/internal/courier"
)

// setClock moves the database's clock: its now() is another one from the next
// connection on. The real one cannot be moved without the machine's.
func (w *world) setClock(by string) {
	w.Helper()
	w.exec("CREATE SCHEMA clock")
	w.exec("CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT pg_catalog.now() + interval '" + by + "' $$")
	w.exec("ALTER DATABASE " + w.one("SELECT current_database()") + " SET search_path = clock, pg_catalog, public")
	w.exec(`DO $$
		DECLARE d record;
		BEGIN
			FOR d IN SELECT table_name, column_name FROM information_schema.columns
				WHERE table_schema = 'public' AND column_default = 'now()' LOOP
				EXECUTE format('ALTER TABLE public.%I ALTER COLUMN %I SET DEFAULT clock.now()', d.table_name, d.column_name);
			END LOOP;
		END $$`)
	w.pool.Reset()
}

// TestClocksDiffer: PostgreSQL's clock and this machine's are minutes apart.
// Whatever comes due does so by PostgreSQL's clock alone: looks are neither made
// at once nor put off, deadlines are minutes from the assignment, and the sweep
// finds what was lost. A lost `created` it finds only as long as PostgreSQL is
// not ahead of service-order by more than the sweep's overlap of fifteen minutes.
func TestClocksDiffer(t *testing.T) {
	for _, by := range []string{"1 minute", "-1 minute", "10 minutes", "-10 minutes"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 10)
			w.setClock(by)
			w.exec("UPDATE couriers SET free_since = now(), updated_at = now()")
			w.serve(sweepEvery(2 * time.Second))
			ids := w.create(3)
			w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
			w.sim.Emit(ids[0], "completed") // ahead of the truth
			w.eventually("it is looked at again soon", func() bool {
				return w.count("SELECT count(*) FROM orders WHERE look_count = 2") == 1
			})
			if n := w.count("SELECT count(*) FROM orders WHERE look_due_at > now() + interval '5 seconds'"); n != 0 {
				t.Error("the second look is put off for minutes")
			}
			if n := w.count("SELECT count(*) FROM courier_orders WHERE deadline - assigned_at = interval '5 minutes'"); n != 3 {
				t.Errorf("%d of 3 deadlines are five minutes from their assignment", n)
			}
			w.sim.Mute(true)
			w.setStatus("completed", ids[1])
			w.create(2)
			w.agrees()
		})
	}
}
