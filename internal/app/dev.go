package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/devstack"
	"service-courier/internal/ordersim"
	"service-courier/internal/storage/postgres"
)

// DevConfig is what `dev` can be asked for; its flags fill it. It reads no
// environment and no .env, so that it never touches production by accident.
type DevConfig struct {
	DataDir      string // keeps everything between runs; empty: a temporary directory
	PGBinDir     string // PostgreSQL's binaries; empty: they are searched for, then fetched
	HTTPPort     int    // of the service; 0: DefaultHTTPPort, or a free one when it is taken
	OrderPort    int    // of service-order; 0: DefaultOrderPort, or a free one when it is taken
	KafkaPort    int    // 0: devstack.DefaultKafkaPort, or a free one when it is taken
	PostgresPort int    // 0: a free one
	Quiet        bool   // no orders of its own: the simulator waits to be asked
	Verbose      bool   // the service's log, besides the feed
}

// The ports of dev where they are not taken.
const (
	DefaultHTTPPort  = 8082
	DefaultOrderPort = 8080
)

const devTopic = ordersim.DefaultTopic

// Dev runs everything in one process until ctx ends: Kafka, PostgreSQL,
// service-order and the service. What a person wants to see goes to out, what
// went wrong to logs.
func Dev(ctx context.Context, cfg DevConfig, out, logs io.Writer) error {
	level := slog.LevelError
	if cfg.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: level}))
	d := &dev{cfg: cfg, out: out, log: log}
	err := d.up(ctx)
	if err == nil {
		err = d.serve(ctx)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // stopped while starting: as asked
	}
	return errors.Join(err, d.down())
}

// dev is the stack, from the bottom up.
type dev struct {
	cfg      DevConfig
	out      io.Writer
	log      *slog.Logger
	closers  []func(context.Context) error // called in reverse
	postgres *devstack.Postgres
	kafka    *devstack.Kafka
	sim      *ordersim.Sim
	httpAddr string
}

const devDatabase = "courier"

// up starts what the service needs.
func (d *dev) up(ctx context.Context) error {
	if err := d.startPostgres(ctx); err != nil {
		return err
	}
	if err := d.prepareDatabase(ctx); err != nil {
		return err
	}
	if err := d.startKafka(ctx); err != nil {
		return err
	}
	var err error
	if d.httpAddr, err = choosePort("--http-port", d.cfg.HTTPPort, DefaultHTTPPort); err != nil {
		return err
	}
	return d.startOrderService(ctx)
}

func (d *dev) onDown(f func(context.Context) error) { d.closers = append(d.closers, f) }

// down stops what up started, the last first.
func (d *dev) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i](ctx))
	}
	return errors.Join(errs...)
}

// dir returns the place of a part under --data, "" when nothing is kept.
func (d *dev) dir(part string) string {
	if d.cfg.DataDir == "" {
		return ""
	}
	return filepath.Join(d.cfg.DataDir, part)
}

func (d *dev) startPostgres(ctx context.Context) (err error) {
	if d.cfg.DataDir != "" {
		if err := os.MkdirAll(d.cfg.DataDir, 0o755); err != nil { //nolint:gosec // the server's user has to pass through
			return fmt.Errorf("directory of --data: %w; choose one that you may write to", err)
		}
	}
	d.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresConfig{
		BinDir: d.cfg.PGBinDir, DataDir: d.dir("postgresql"), Port: d.cfg.PostgresPort,
		Progress: d.out, Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.onDown(d.postgres.Stop)
	return nil
}

func (d *dev) prepareDatabase(ctx context.Context) error {
	if err := d.postgres.EnsureDatabase(ctx, devDatabase); err != nil {
		return err
	}
	url := d.postgres.URL(devDatabase)
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	return seedCouriers(ctx, url)
}

func (d *dev) startKafka(ctx context.Context) (err error) {
	d.kafka, err = devstack.StartKafka(ctx, devstack.KafkaConfig{
		Port: d.cfg.KafkaPort, DataDir: d.dir("kafka"), Topics: map[string]int{devTopic: 6}, Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.onDown(d.kafka.Stop)
	return nil
}

func (d *dev) startOrderService(ctx context.Context) (err error) {
	cfg := ordersim.DemoConfig()
	if d.cfg.Quiet {
		cfg = ordersim.DefaultConfig()
	}
	if cfg.Addr, err = choosePort("--order-port", d.cfg.OrderPort, DefaultOrderPort); err != nil {
		return err
	}
	cfg.Brokers, cfg.Topic, cfg.Logger = []string{d.kafka.Addr()}, devTopic, d.log
	if d.cfg.DataDir != "" {
		cfg.StateFile = filepath.Join(d.cfg.DataDir, "orders.jsonl")
	}
	if d.sim, err = ordersim.New(cfg); err != nil {
		return err
	}
	d.onDown(d.sim.Stop)
	return d.sim.Start(ctx)
}

// serve runs the service and tells what it does, until ctx ends.
func (d *dev) serve(ctx context.Context) error {
	s, err := newService(config.Config{
		HTTPAddr:        d.httpAddr,
		DatabaseURL:     d.postgres.URL(devDatabase),
		KafkaBrokers:    []string{d.kafka.Addr()},
		KafkaTopic:      devTopic,
		KafkaGroupID:    "service-courier",
		OrderServiceURL: "http://" + d.sim.Addr(),
	}, d.log)
	if err != nil {
		return err
	}
	feed, err := newFeed(ctx, d.postgres.URL(devDatabase), d.out)
	if err != nil {
		return err
	}
	d.banner()
	told := make(chan struct{})
	go func() {
		defer close(told)
		feed.run(ctx)
	}()
	err = s.run(ctx)
	<-told
	return err
}

// choosePort returns the address of a port on 127.0.0.1: the one that was
// asked for, or the usual one, or a free one when that is taken.
func choosePort(flag string, asked, usual int) (string, error) {
	if asked != 0 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(asked))
		if !free(addr) {
			return "", fmt.Errorf("%s %d: the port is taken; stop what listens on %s, or choose another", flag, asked, addr)
		}
		return addr, nil
	}
	if addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(usual)); free(addr) {
		return addr, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	return err == nil && l.Close() == nil
}
