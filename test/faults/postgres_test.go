package faults

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/dev/devpostgres"
	"service-courier/internal/dev/ordersim"
	"service-courier/internal/storage/postgres"
)

// newWorldWithOwnServer starts a PostgreSQL that the test may break.
func newWorldWithOwnServer(t *testing.T, couriers int, neighbour ...func(*ordersim.Config)) (*world, *devpostgres.Server) {
	t.Helper()
	return newWorldWithServer(t, couriers, devpostgres.Config{}, neighbour...)
}

func newWorldWithServer(
	t *testing.T, couriers int, cfg devpostgres.Config, neighbour ...func(*ordersim.Config),
) (*world, *devpostgres.Server) {
	t.Helper()
	cfg.Fast, cfg.Template, cfg.Logger = true, true, slog.New(slog.DiscardHandler)
	pg, err := devpostgres.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.Stop(context.Background()); err != nil { // the context of the test has ended
			t.Error(err)
		}
	})
	if err := pg.EnsureDatabase(t.Context(), "courier"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), pg.URL("courier")); err != nil {
		t.Fatal(err)
	}
	return newWorldOn(t, pg.URL("courier"), couriers, neighbour...), pg
}

// traffic creates and ends orders until stop.
func (w *world) traffic() (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			o, err := w.sim.Create()
			if err != nil {
				w.Error(err)
				return
			}
			switch i % 3 {
			case 0:
				w.check(w.sim.SetStatus(o.ID, "completed"))
			case 1:
				w.check(w.sim.Delete(o.ID))
			}
			<-time.After(2 * time.Millisecond)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	w.Cleanup(stop)
	return stop
}

// TestPostgresCrashesUnderLoad: it is killed and restarted, twice. Nothing that was saved
// happens twice, and all whose offset was committed is saved: there is no resync to
// repair a loss.
func TestPostgresCrashesUnderLoad(t *testing.T) {
	t.Parallel()
	w, pg := newWorldWithOwnServer(t, 40)
	w.front.unlisted.Store(true)
	w.serve()
	w.serve()
	stop := w.traffic()
	for range 2 {
		w.eventually("work is done", func() bool { return w.inState(courier.StateCompleted) > 5 })
		pg.Kill()
		sleep(500 * time.Millisecond)
		w.must(pg.Restart(t.Context()))
		w.eventually("PostgreSQL answers", func() bool { return w.pool.Ping(t.Context()) == nil })
	}
	stop()
	w.converges()
	w.noDeadLetters()
	w.nothingHappenedTwice()
	w.allCommitted()
}
