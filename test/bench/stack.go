package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

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
	publisher *kgo.Client
	postgres  *devstack.Postgres
	pool      *pgxpool.Pool
	neighbour *neighbour
	closers   []func() error // called in reverse
}

// capacity is what a stack has room for.
type capacity struct {
	orders     int // that the neighbour has
	couriers   int // all free
	partitions int
}

// up starts it all; what it got to is for down to stop, also after an error.
func (s *stack) up(ctx context.Context, c capacity) (err error) {
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
	if err := s.kafka.CreateTopic(ctx, topic, c.partitions); err != nil {
		return err
	}
	if s.publisher, err = newPublisher(s.kafka.Addr()); err != nil {
		return fmt.Errorf("publish events: %w", err)
	}
	s.onDown(func() error { s.publisher.Close(); return nil })
	if err := s.startPostgres(ctx, c.couriers); err != nil {
		return err
	}
	if s.neighbour, err = startNeighbour(ctx, c.orders); err != nil {
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
		// Buffers and checkpoints as they should be for tables of this size, and each
		// COMMIT's time is noted.
		Settings: map[string]string{
			"shared_buffers": "6GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "track_commit_timestamp": "on",
		},
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
	// Not the empty tables: what is known to be empty is planned for as such.
	_, err = s.pool.Exec(ctx, "vacuum analyze couriers")
	return err
}

// reuseWAL ends what PostgreSQL still has to write of the loads, and lets it use the
// files of its log again, as a server that is at work for long does. Until its first
// checkpoint it makes each of them anew, for which every COMMIT waits some ten
// milliseconds.
func (s *stack) reuseWAL(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, "checkpoint"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
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

// serve starts replicas of the service, each with a directory and a log of its
// own. Those that it started are returned also with an error.
func (s *stack) serve(ctx context.Context, name string, replicas int) (all services, err error) {
	for i := range replicas {
		dir := filepath.Join(s.dir, strings.ReplaceAll(name, " ", "-"), strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return all, err
		}
		one, err := s.serveIn(ctx, dir)
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *stack) serveIn(ctx context.Context, dir string) (one service, err error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return one, err
	}
	defer log.Close() // the service has its own
	one.log = log.Name()
	one.Process, err = program.Start(ctx, program.Command{
		Path: filepath.Join(s.dir, "service-courier"), Args: []string{"serve"}, Dir: dir, Log: log,
		Env: []string{
			"HTTP_ADDR=127.0.0.1:0", "DATABASE_URL=" + s.postgres.URL(database), "ORDER_SERVICE_URL=" + s.neighbour.url(),
			"KAFKA_BROKERS=" + s.kafka.Addr(), "KAFKA_ORDER_TOPIC=" + topic, "KAFKA_GROUP_ID=" + group,
		},
	})
	return one, err
}
