// Package devmode runs everything in one process for development: an embedded
// Kafka, a private PostgreSQL, a simulated service-order and the service.
package devmode

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/access"
	"service-courier/internal/app"
	"service-courier/internal/config"
	"service-courier/internal/dev/devkafka"
	"service-courier/internal/dev/devpostgres"
	"service-courier/internal/dev/ordersim"
	"service-courier/internal/logging"
	"service-courier/internal/storage/postgres"
)

// Config holds the flags of `dev`. It reads no environment and no .env, so that it
// never reaches production by accident.
type Config struct {
	DataDir      string // keeps everything between runs; empty: a temporary directory
	PGBinDir     string // PostgreSQL's programs; empty: found on this machine or downloaded
	HTTPPort     int    // of the service; 0: DefaultHTTPPort, or a free one when it is taken
	OrderPort    int    // of service-order; 0: DefaultOrderPort, or a free one when it is taken
	KafkaPort    int    // 0: devkafka.DefaultPort, or a free one when it is taken
	PostgresPort int    // 0: a free one
	EventsAddr   string // of the events page; empty: DefaultEventsPort, or a free one when it is taken
	Quiet        bool   // generate no orders; service-order's real timers
	Open         bool   // show the board in the browser
	Verbose      bool   // also write the log of every component

	traffic func(*ordersim.Config) // changes service-order in tests
}

const (
	database   = "courier"
	topic      = ordersim.DefaultTopic
	eventTopic = "courier.assignment.changed" // of the outbox
	partitions = 6
	group      = "service-courier"

	resyncInterval = 10 * time.Second // short, so that its repairs can be watched
	readyWithin    = 10 * time.Second // then the banner says that the service is still joining its group
	readyEvery     = 20 * time.Millisecond
	stopWithin     = 15 * time.Second
)

// Run runs everything until ctx ends. It writes the banner and the feed to out, and
// errors of the components to logs.
func Run(ctx context.Context, cfg Config, out, logs io.Writer) error {
	return newEnvironment(cfg, out, logs).run(ctx)
}

type environment struct {
	cfg      Config
	out      io.Writer
	log      *slog.Logger
	closers  app.Closers
	postgres *devpostgres.Server
	kafka    *devkafka.Broker
	sim      *ordersim.Sim
	feed     *feed
	play     *playground
	service  *app.App
	ready    bool // the service was ready when last checked
}

func newEnvironment(cfg Config, out, logs io.Writer) *environment {
	level := slog.LevelError
	if cfg.Verbose {
		level = slog.LevelDebug
	}
	return &environment{cfg: cfg, out: out, log: slog.New(logging.NewHandler(logs, logging.Text, level))}
}

// run starts everything, waits and stops everything. The end of ctx is no error,
// even during the start: the user asked for it.
func (e *environment) run(ctx context.Context) error {
	err := e.start(ctx)
	if err == nil {
		err = e.wait(ctx)
	}
	interrupted := ctx.Err() != nil
	if interrupted {
		err = nil
		fmt.Fprintln(e.out, "\nstopping; press Ctrl-C again to exit at once")
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	err = errors.Join(err, e.closers.Close(stop))
	if interrupted && err == nil {
		fmt.Fprintln(e.out, e.farewell())
	}
	return err
}

// start starts the components, each before those that need it.
func (e *environment) start(ctx context.Context) error {
	if err := e.cfg.checkPorts(ctx); err != nil {
		return err
	}
	if err := e.makeDataDir(); err != nil {
		return err
	}
	fmt.Fprintln(e.out, "starting PostgreSQL, Kafka, service-order and the service")
	for _, start := range []func(context.Context) error{
		e.startPostgres, e.startKafka, e.startOrderService, e.startFeed, e.startPlayground, e.startService,
	} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wait prints the banner and the feed until ctx or PostgreSQL ends.
func (e *environment) wait(ctx context.Context) error {
	var first ordersim.Order // gives the feed a line and the banner an order to cancel
	if !e.cfg.Quiet {
		var err error
		if first, err = e.sim.Create(); err != nil {
			return err
		}
	}
	fmt.Fprint(e.out, e.banner(first.ID))
	if e.cfg.Open {
		e.openBoard(ctx)
	}
	e.feed.start(ctx, e.out)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.postgres.Done():
			if !e.play.postgres.returns(ctx) {
				return e.postgresEndedError()
			}
		case err := <-e.service.Failed():
			return err
		}
	}
}

func (e *environment) farewell() string {
	if e.cfg.DataDir == "" {
		return "stopped; all data is removed"
	}
	return "stopped; continue with: service-courier dev --data " + shellWord(e.cfg.DataDir)
}

func (e *environment) postgresEndedError() error {
	if err := e.play.postgres.restartError(); err != nil {
		return err
	}
	err := errors.New("the private PostgreSQL ended unexpectedly")
	if e.cfg.DataDir != "" {
		return fmt.Errorf("%w; see its log: %s", err, filepath.Join(e.cfg.DataDir, postgresDir, "postgres.log"))
	}
	return fmt.Errorf("%w; run with --data DIR to keep its log", err)
}

func (e *environment) startPostgres(ctx context.Context) (err error) {
	e.postgres, err = devpostgres.Start(ctx, devpostgres.Config{
		BinDir: e.cfg.PGBinDir, DataDir: e.inDataDir(postgresDir), Port: e.cfg.PostgresPort,
		Progress: e.out, Logger: e.log,
	})
	if err != nil {
		return err
	}
	e.closers.Add("PostgreSQL", e.postgres.Stop)
	if err := e.postgres.EnsureDatabase(ctx, database); err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, e.databaseURL()); err != nil {
		return err
	}
	if err := registerCouriers(ctx, e.databaseURL()); err != nil {
		return fmt.Errorf("register the demo couriers: %w", err)
	}
	return nil
}

func (e *environment) databaseURL() string { return e.postgres.URL(database) }

// demoCouriers registers ten couriers in an empty table. compose.yaml runs it too.
//
//go:embed couriers.sql
var demoCouriers string

func registerCouriers(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, demoCouriers)
	return err
}

func (e *environment) startKafka(ctx context.Context) (err error) {
	e.kafka, err = devkafka.Start(ctx, devkafka.Config{
		Port: e.cfg.KafkaPort, DataDir: e.inDataDir(kafkaDir), Topics: map[string]int{topic: partitions, eventTopic: partitions}, Logger: e.log,
	})
	if err != nil {
		return err
	}
	e.closers.Add("Kafka", e.kafka.Stop)
	return nil
}

func (e *environment) startOrderService(ctx context.Context) error {
	cfg := ordersim.DemoConfig()
	if e.cfg.Quiet {
		cfg = ordersim.DefaultConfig()
	}
	cfg.Brokers, cfg.Topic, cfg.StateFile, cfg.Logger = []string{e.kafka.Addr()}, topic, e.inDataDir(ordersFile), e.log
	cfg.GRPCAddr = "127.0.0.1:0" // only the service uses it
	if e.cfg.traffic != nil {
		e.cfg.traffic(&cfg)
	}
	return onPort(e.cfg.OrderPort, DefaultOrderPort, func(addr string) (err error) {
		cfg.Addr = addr
		if e.sim, err = ordersim.New(cfg); err != nil {
			return err
		}
		if err := e.sim.Start(ctx); err != nil {
			return errors.Join(err, e.sim.Stop(ctx)) // releases the state file
		}
		e.closers.Add("service-order", e.sim.Stop)
		return nil
	})
}

func (e *environment) startFeed(ctx context.Context) (err error) {
	if e.feed, err = newFeed(ctx, e.databaseURL(), e.cfg.Verbose); err != nil {
		return err
	}
	e.closers.Add("feed", e.feed.stop)
	return nil
}

func (e *environment) startPlayground(ctx context.Context) (err error) {
	if e.play, err = newPlayground(ctx, e.sim, e.postgres, e.databaseURL()); err != nil {
		return err
	}
	e.closers.Add("playground", e.play.stop)
	return nil
}

// startService returns when the service listens and is ready, or takes longer than
// readyWithin to become ready.
func (e *environment) startService(ctx context.Context) error {
	if e.cfg.EventsAddr != "" && !access.IsLoopback(e.cfg.EventsAddr) {
		return fmt.Errorf("--events-addr %s: dev listens on loopback only; choose an address such as 127.0.0.1:8081", e.cfg.EventsAddr)
	}
	err := onPort(e.cfg.HTTPPort, DefaultHTTPPort, func(addr string) error {
		err := e.serve(ctx, addr, cmp.Or(e.cfg.EventsAddr, loopback(DefaultEventsPort)))
		if e.cfg.EventsAddr == "" && errors.Is(err, app.ErrEventsAddrTaken) {
			err = e.serve(ctx, addr, loopback(0))
		}
		return err
	})
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for limit.Err() == nil && !e.ready {
		if e.ready = e.service.Ready(limit); !e.ready {
			select {
			case <-time.After(readyEvery):
			case <-limit.Done():
			}
		}
	}
	return ctx.Err()
}

// serve starts the service, with the events page at its own address.
func (e *environment) serve(ctx context.Context, addr, eventsAddr string) error {
	service, err := app.New(ctx, config.Config{
		HTTPAddr:             addr,
		EventsAddr:           eventsAddr,
		DatabaseURL:          e.databaseURL(),
		KafkaBrokers:         []string{e.kafka.Addr()},
		KafkaTopic:           topic,
		KafkaAssignmentTopic: eventTopic,
		KafkaGroupID:         group,
		OrderServiceURL:      "http://" + e.sim.Addr(),
		OrderServiceGRPCAddr: e.sim.GRPCAddr(),
		ResyncInterval:       resyncInterval,
	}, e.log, app.WithPlayground(e.play.handler()))
	if err != nil {
		return err
	}
	if err := service.Start(ctx); err != nil {
		return errors.Join(err, service.Stop(ctx))
	}
	e.service = service
	e.closers.Add("service", service.Stop)
	return nil
}
