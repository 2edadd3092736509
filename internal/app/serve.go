package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/gateway/order"
	"service-courier/internal/logging"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/tracing"
	"service-courier/internal/worker"
)

// Serve runs the service with the environment's settings until ctx ends. It
// never migrates: it waits for the schema.
func Serve(ctx context.Context, logs io.Writer) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	log := NewLog(logs, cfg)
	slog.SetDefault(log) // libraries write no text between the lines of JSON
	return Run(ctx, cfg, log)
}

// NewLog returns the log of the service.
func NewLog(out io.Writer, cfg config.Config) *slog.Logger {
	return slog.New(tracing.LogHandler(logging.NewHandler(out, cfg.LogFormat, cfg.LogLevel)))
}

// Run runs the service with these settings until ctx ends or the API cannot be served
// any more.
func Run(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	log.InfoContext(ctx, "starting", slog.Any("settings", cfg))
	a, err := New(ctx, cfg, log)
	if err != nil {
		return err
	}
	if err = a.Start(ctx); err == nil {
		err = a.wait(ctx)
	}
	if err := errors.Join(err, a.Stop(ctx)); err != nil {
		return err
	}
	log.InfoContext(ctx, "stopped")
	return nil
}

// wait returns when ctx ends, or with an error when the listener of the API fails: a
// restart of the process opens a new one.
func (a *App) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.Failed():
		return err
	}
}

// Resync compares once with service-order: the orders that it lists as created since the
// given time, and every active order. Then it runs the matching, because no replica may be
// running. It returns how many active orders are missing.
func Resync(ctx context.Context, cfg config.Config, since time.Time, log *slog.Logger) (missing int, err error) {
	a, err := New(ctx, cfg, log)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, a.Stop(ctx)) }()
	if err := postgres.CheckSchema(ctx, a.pool); err != nil {
		return 0, postgres.ExplainError(err)
	}
	if err := a.resync(ctx, since); err != nil {
		return 0, fmt.Errorf("resync incomplete: its fixes so far are saved, run it again: %w", err)
	}
	active, err := postgres.NewHealth(a.pool).ActiveOrders(ctx)
	return active.Missing, err
}

func (a *App) resync(ctx context.Context, since time.Time) error {
	batchCtx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.batcher.Run(batchCtx)
	}()
	err := a.resyncer.Since(ctx, since.Add(-worker.ResyncOverlap)) // since is by this machine's clock
	if errors.Is(err, order.ErrUnavailable) {
		err = order.Explain(err)
	}
	stop()
	<-done
	if err != nil {
		return err
	}
	return a.matcher.Match(ctx)
}
