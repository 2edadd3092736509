package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/devstack"
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
	postgres  *devstack.Postgres
	pool      *pgxpool.Pool
	neighbour *neighbour
	closers   []func() error // called in reverse
}

// up starts it all; what it got to is for down to stop, also after an error.
func (s *stack) up(ctx context.Context, o options) (err error) {
	if s.dir, err = os.MkdirTemp("", "service-courier-bench-"); err != nil {
		return err
	}
	s.onDown(func() error { return os.RemoveAll(s.dir) })
	if err := program.Build(ctx, s.dir, "service-courier"); err != nil {
		return err
	}
	if s.kafka, err = realkafka.Start(ctx, realkafka.Options{}); err != nil {
		return err
	}
	s.onDown(s.kafka.Close)
	if err := s.kafka.CreateTopic(ctx, topic, o.Partitions); err != nil {
		return err
	}
	if err := s.startPostgres(ctx, o.Couriers); err != nil {
		return err
	}
	if s.neighbour, err = startNeighbour(ctx, o.Orders); err != nil {
		return err
	}
	s.onDown(s.neighbour.server.Close)
	return nil
}

// startPostgres makes a cluster that keeps what it has committed (fsync is on),
// with the schema and the couriers.
func (s *stack) startPostgres(ctx context.Context, couriers int) (err error) {
	s.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresConfig{
		BinDir: os.Getenv("PG_BIN_DIR"), Progress: os.Stderr, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	s.onDown(func() error {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		return s.postgres.Stop(stop)
	})
	if err := s.postgres.EnsureDatabase(ctx, database); err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, s.postgres.URL(database)); err != nil {
		return err
	}
	if s.pool, err = postgres.Open(ctx, s.postgres.URL(database), 2); err != nil {
		return err
	}
	s.onDown(func() error { s.pool.Close(); return nil })
	_, err = s.pool.Exec(ctx, `
		insert into couriers(name, phone, status, transport_type)
		select 'Courier', i::text, 'available', 'scooter' from generate_series(1, $1::int) i`, couriers)
	if err != nil {
		return fmt.Errorf("insert couriers: %w", err)
	}
	_, err = s.pool.Exec(ctx, "vacuum analyze")
	return err
}

func (s *stack) onDown(f func() error) { s.closers = append(s.closers, f) }

// down stops what up started, the last first.
func (s *stack) down() error {
	var errs []error
	for _, closer := range slices.Backward(s.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

// serve starts the service. Its log is a file of its own.
func (s *stack) serve(ctx context.Context, name string) (*program.Process, string, error) {
	dir := filepath.Join(s.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, "", err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, "", err
	}
	defer log.Close() // the service has its own
	p, err := program.Start(ctx, program.Command{
		Path: filepath.Join(s.dir, "service-courier"), Args: []string{"serve"}, Dir: dir, Log: log,
		Env: []string{
			"HTTP_ADDR=127.0.0.1:0", "DATABASE_URL=" + s.postgres.URL(database), "ORDER_SERVICE_URL=" + s.neighbour.url(),
			"KAFKA_BROKERS=" + s.kafka.Addr(), "KAFKA_ORDER_TOPIC=" + topic, "KAFKA_GROUP_ID=" + group,
		},
	})
	return p, log.Name(), err
}
