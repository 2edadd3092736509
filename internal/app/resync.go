package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/worker"
)

// Resync sweeps once, now: every order that service-order lists as created at
// since or later, and every open order of our own. It works beside running
// replicas, and heals a database that was restored from a backup.
func Resync(ctx context.Context, since time.Time, out, logs io.Writer) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	s, err := newService(ctx, cfg, slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: cfg.LogLevel})))
	if err != nil {
		return err
	}
	defer s.pool.Close()
	defer s.spans.Close(ctx)
	defer s.orders.Close()
	if err := postgres.CheckSchema(ctx, s.pool); err != nil {
		return postgres.ForPerson(err)
	}
	began := time.Now()
	if err := s.resync(ctx, since); err != nil {
		return fmt.Errorf("resync broke off; what it did so far is saved, run it again: %w", err)
	}
	standing, err := postgres.NewHealth(s.pool).Standing(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "compared everything since %s in %v; %s\n",
		since.Format(time.RFC3339), time.Since(began).Round(time.Millisecond), nowMissing(standing.Missing))
	return err
}

// nowMissing says how many open orders service-order does not have.
func nowMissing(n int) string {
	if n == 0 {
		return "service-order has all orders that are open now"
	}
	return fmt.Sprintf("%d of the orders that are open now are missing in service-order", n)
}

// resync runs the sweep and then, since no replica may be running, the match.
func (s *service) resync(ctx context.Context, since time.Time) error {
	working, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.coalescer.Run(working)
	}()
	err := s.sweeper.Since(ctx, since.Add(-worker.SweepOverlap)) // since is by this machine's clock
	stop()
	<-done
	if err != nil {
		return err
	}
	return s.matcher.Match(ctx)
}
