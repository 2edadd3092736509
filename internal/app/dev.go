package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"service-courier/internal/devstack"
	"service-courier/internal/ordersim"
)

// DevConfig is what `dev` can be asked for; its flags fill it. Dev reads no
// environment and no .env, so that it never touches production by accident.
type DevConfig struct {
	DataDir      string // keeps everything between runs; empty: nothing is kept
	PGBinDir     string // PostgreSQL's binaries; empty: they are searched for, then fetched
	HTTPPort     int    // of the service; 0: DefaultHTTPPort, or a free one when it is taken
	OrderPort    int    // of service-order; 0: DefaultOrderPort, or a free one when it is taken
	KafkaPort    int    // 0: devstack.DefaultKafkaPort, or a free one when it is taken
	PostgresPort int    // 0: a free one
	Quiet        bool   // no orders but those that are asked for, and service-order's real timers
	Verbose      bool   // the log of every part, besides the feed

	traffic func(*ordersim.Config) // what a test changes of service-order
}

// stopWithin bounds the end of everything.
const stopWithin = 15 * time.Second

// Dev runs everything in one process until ctx ends: Kafka, PostgreSQL,
// service-order and the service. What a person wants to see goes to out, what
// went wrong to logs.
func Dev(ctx context.Context, cfg DevConfig, out, logs io.Writer) error {
	return newDev(cfg, out, logs).run(ctx)
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
	feed     *feed
	service  *devService
}

func newDev(cfg DevConfig, out, logs io.Writer) *dev {
	level := slog.LevelError
	if cfg.Verbose {
		level = slog.LevelDebug
	}
	return &dev{cfg: cfg, out: out, log: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: level}))}
}

// run starts everything, tells what happens until ctx ends, and stops it all.
// That ctx ended is no error, also while starting: it was asked for.
func (d *dev) run(ctx context.Context) error {
	err := d.up(ctx)
	if err == nil {
		err = d.stay(ctx)
	}
	asked := ctx.Err() != nil
	if asked {
		err = nil
		fmt.Fprintln(d.out, "\nstopping; Ctrl-C again ends it at once")
	}
	err = errors.Join(err, d.down(ctx))
	if asked && err == nil {
		fmt.Fprintln(d.out, d.farewell())
	}
	return err
}

// up starts the parts, each before those that need it.
func (d *dev) up(ctx context.Context) error {
	if err := d.cfg.checkPorts(ctx); err != nil {
		return err
	}
	if err := d.makeDataDir(); err != nil {
		return err
	}
	fmt.Fprintln(d.out, "starting PostgreSQL, Kafka, service-order and the service")
	for _, start := range []func(context.Context) error{
		d.startPostgres, d.startKafka, d.startOrderService, d.startFeed, d.startService,
	} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stay greets and tells what happens until ctx ends, or a part does that should
// not.
func (d *dev) stay(ctx context.Context) error {
	first, err := d.firstOrder()
	if err != nil {
		return err
	}
	fmt.Fprint(d.out, d.banner(first))
	d.feed.start(ctx, d.out)
	select {
	case <-ctx.Done():
		return nil
	case <-d.postgres.Done():
		return d.explainPostgresEnd()
	case <-d.service.done:
		return d.service.err
	}
}

// firstOrder saves a person the wait for the first line of the feed, and gives
// the banner an order to cancel. "" when orders come only when asked for.
func (d *dev) firstOrder() (id string, err error) {
	if d.cfg.Quiet {
		return "", nil
	}
	order, err := d.sim.Create()
	return order.ID, err
}

func (d *dev) onDown(f func(context.Context) error) { d.closers = append(d.closers, f) }

// down stops what up started, the last first.
func (d *dev) down(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	var errs []error
	for _, stop := range slices.Backward(d.closers) {
		errs = append(errs, stop(ctx))
	}
	return errors.Join(errs...)
}

func (d *dev) farewell() string {
	if d.cfg.DataDir == "" {
		return "stopped; nothing is left of this run"
	}
	return "stopped; everything is kept: dev --data " + shellWord(d.cfg.DataDir) + " goes on from here"
}

func (d *dev) explainPostgresEnd() error {
	err := errors.New("the private PostgreSQL has ended by itself")
	if d.cfg.DataDir != "" {
		return fmt.Errorf("%w; %s tells why", err, filepath.Join(d.cfg.DataDir, postgresDir, "postgres.log"))
	}
	return fmt.Errorf("%w; with --data DIR its log is kept", err)
}
