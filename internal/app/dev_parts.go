package app

import (
	"context"

	"service-courier/internal/devstack"
	"service-courier/internal/ordersim"
	"service-courier/internal/storage/postgres"
)

const (
	devDatabase   = "courier"
	devTopic      = ordersim.DefaultTopic
	devPartitions = 6
	devGroup      = "service-courier"
)

func (d *dev) startPostgres(ctx context.Context) (err error) {
	d.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresConfig{
		BinDir: d.cfg.PGBinDir, DataDir: d.keptIn(postgresDir), Port: d.cfg.PostgresPort,
		Progress: d.out, Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.onDown(d.postgres.Stop)
	if err := d.postgres.EnsureDatabase(ctx, devDatabase); err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, d.databaseURL()); err != nil {
		return err
	}
	return seedCouriers(ctx, d.databaseURL())
}

func (d *dev) databaseURL() string { return d.postgres.URL(devDatabase) }

func (d *dev) startKafka(ctx context.Context) (err error) {
	d.kafka, err = devstack.StartKafka(ctx, devstack.KafkaConfig{
		Port: d.cfg.KafkaPort, DataDir: d.keptIn(kafkaDir), Topics: map[string]int{devTopic: devPartitions}, Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.onDown(d.kafka.Stop)
	return nil
}

func (d *dev) startOrderService(ctx context.Context) error {
	cfg := ordersim.DemoConfig()
	if d.cfg.Quiet {
		cfg = ordersim.DefaultConfig()
	}
	cfg.Brokers, cfg.Topic, cfg.StateFile, cfg.Logger = []string{d.kafka.Addr()}, devTopic, d.keptIn(ordersFile), d.log
	if d.cfg.traffic != nil {
		d.cfg.traffic(&cfg)
	}
	return onPort(d.cfg.OrderPort, DefaultOrderPort, func(addr string) (err error) {
		cfg.Addr = addr
		if d.sim, err = ordersim.New(cfg); err != nil {
			return err
		}
		if err := d.sim.Start(ctx); err != nil {
			_ = d.sim.Stop(ctx) // lets go of the state file; it has not run
			return err
		}
		d.onDown(d.sim.Stop)
		return nil
	})
}

func (d *dev) startFeed(ctx context.Context) (err error) {
	if d.feed, err = newFeed(ctx, d.databaseURL()); err != nil {
		return err
	}
	d.onDown(d.feed.stop)
	return nil
}
