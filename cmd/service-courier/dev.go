package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"service-courier/internal/app"
	"service-courier/internal/devstack"
)

func dev() *cobra.Command {
	var cfg app.DevConfig
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process: Kafka, PostgreSQL, service-order and the service",
		Long: `Runs an embedded Kafka, a private PostgreSQL, a simulated service-order and the
service itself, and tells what happens to the orders. Ctrl-C stops everything.

It reads no .env and no setting of serve. PG_BIN_DIR names the directory of the
PostgreSQL programs to use; without it they are looked for, and fetched once
where the machine has none.`,
		Example: `  service-courier dev                   nothing to install, nothing is kept
  service-courier dev --data /var/tmp/x  goes on from where it was stopped, or killed
  service-courier dev --quiet           only the orders that you make, with real timers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("data") && cfg.DataDir == "" {
				return usageError{errors.New("--data is empty; name a directory, or leave the flag out to keep nothing")}
			}
			cfg.PGBinDir = os.Getenv("PG_BIN_DIR")
			return app.Dev(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&cfg.DataDir, "data", "", "keep everything in `DIR` between runs: database, Kafka, orders")
	f.BoolVar(&cfg.Quiet, "quiet", false, "no orders but yours, and service-order's real timers")
	f.BoolVarP(&cfg.Verbose, "verbose", "v", false, "show the log of every part as well")
	f.Var(port{&cfg.HTTPPort}, "http-port", fmt.Sprintf("of the service (default %d, or a free one)", app.DefaultHTTPPort))
	f.Var(port{&cfg.OrderPort}, "order-port", fmt.Sprintf("of service-order (default %d, or a free one)", app.DefaultOrderPort))
	f.Var(port{&cfg.KafkaPort}, "kafka-port", fmt.Sprintf("of Kafka (default %d, or a free one)", devstack.DefaultKafkaPort))
	f.Var(port{&cfg.PostgresPort}, "postgres-port", "of PostgreSQL (default: a free one)")
	return cmd
}
