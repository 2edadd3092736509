package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/internal/dev/devpostgres"
	"service-courier/internal/storage/postgres"
	"service-courier/test/e2e/program"
	"service-courier/test/realkafka"
)

const (
	topic    = "order.status.changed"
	group    = "service-courier"
	database = "courier"
)

// stack is everything around the service.
type stack struct {
	dir       string
	kafka     *realkafka.Broker
	publisher *kgo.Client
	postgres  *devpostgres.Server
	pool      *pgxpool.Pool
	orders    *orderService
	settings  []string       // of the services, besides the usual ones
	addr      string         // of the running service, the first replica
	viewers   int            // boards that a load has open
	viewed    viewed         // by the boards of the last load
	closers   []func() error // called in reverse order
}

// capacity is the size of a stack.
type capacity struct {
	orders     int // known to the order service
	couriers   int // all available
	partitions int
	settings   map[string]string // of PostgreSQL; nil: benchSettings
}

// benchSettings are buffers and checkpoints for large tables, and a timestamp per COMMIT.
var benchSettings = map[string]string{
	"shared_buffers": "6GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "track_commit_timestamp": "on",
}

// start starts everything; call stop also after an error.
func (s *stack) start(ctx context.Context, c capacity) (err error) {
	if s.dir, err = os.MkdirTemp("", "service-courier-bench-"); err != nil {
		return err
	}
	s.onStop(func() error { return os.RemoveAll(s.dir) })
	if err := program.Build(ctx, s.dir, "service-courier"); err != nil {
		return err
	}
	if s.kafka, err = realkafka.Start(ctx, realkafka.Options{}); err != nil {
		return err
	}
	s.onStop(s.kafka.Close)
	if err := s.kafka.CreateTopic(ctx, topic, c.partitions); err != nil {
		return err
	}
	if s.publisher, err = newPublisher(s.kafka.Addr()); err != nil {
		return fmt.Errorf("publish events: %w", err)
	}
	s.onStop(func() error { s.publisher.Close(); return nil })
	if err := s.startPostgres(ctx, c); err != nil {
		return err
	}
	if s.orders, err = startOrderService(ctx, c.orders); err != nil {
		return err
	}
	s.onStop(func() error { s.orders.close(); return nil })
	return nil
}

// startPostgres starts a durable cluster (fsync is on) with the schema and the couriers.
func (s *stack) startPostgres(ctx context.Context, c capacity) error {
	settings := c.settings
	if settings == nil {
		settings = benchSettings
	}
	server, err := devpostgres.Start(ctx, devpostgres.Config{
		BinDir: os.Getenv("PG_BIN_DIR"), Progress: os.Stderr, Logger: slog.New(slog.DiscardHandler), Settings: settings,
	})
	if err != nil {
		return err
	}
	s.postgres = server
	s.onStop(func() error {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		return server.Stop(stop)
	})
	if err := s.postgres.EnsureDatabase(ctx, database); err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, s.postgres.URL(database)); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, s.postgres.URL(database), 2)
	if err != nil {
		return err
	}
	s.pool = pool
	s.onStop(func() error { pool.Close(); return nil })
	_, err = s.pool.Exec(ctx, `
		insert into couriers(name, phone, status, transport_type)
		select 'Courier', i::text, 'available', 'scooter' from generate_series(1, $1::int) i`, c.couriers)
	if err != nil {
		return fmt.Errorf("insert couriers: %w", err)
	}
	// Only couriers: the other tables are empty, and would be planned for as empty.
	_, err = s.pool.Exec(ctx, "vacuum analyze couriers")
	return err
}

// with gives the services that run starts further settings.
func (s *stack) with(settings []string, run func() error) error {
	s.settings = settings
	defer func() { s.settings = nil }()
	return run()
}

func (s *stack) onStop(f func() error) { s.closers = append(s.closers, f) }

func (s *stack) stop() error {
	var errs []error
	for _, closer := range slices.Backward(s.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}
