//go:build unix

package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"service-courier/internal/app/devmode"
	"service-courier/internal/cli"
	"service-courier/internal/dev/devkafka"
)

func devCommand() *cobra.Command {
	var cfg devmode.Config
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process for development",
		Long: `Runs an embedded Kafka, a private PostgreSQL, a simulated service-order and the
service, and prints what happens to the orders. Ctrl-C stops everything.

It reads no .env and no settings of serve. PG_BIN_DIR names the directory of the
PostgreSQL programs; without it they are searched for on this machine, and
downloaded once if there are none.`,
		Example: `  service-courier dev                       # temporary data
  service-courier dev --data ~/courier-dev  # continues where it stopped or was killed
  service-courier dev --quiet               # no generated orders, real timers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("data") && cfg.DataDir == "" {
				return cli.Usagef("--data is empty: name a directory, or omit the flag for temporary data")
			}
			cfg.PGBinDir = os.Getenv("PG_BIN_DIR")
			return devmode.Run(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&cfg.DataDir, "data", "", "keep database, Kafka and orders in `DIR` between runs")
	f.BoolVar(&cfg.Quiet, "quiet", false, "generate no orders, and use service-order's real timers")
	f.StringVar(&cfg.EventsAddr, "events-addr", "", fmt.Sprintf("`ADDR` of the events page (default 127.0.0.1:%d, or a free port)", devmode.DefaultEventsPort))
	f.BoolVar(&cfg.Open, "open", false, "show the board in the browser")
	f.BoolVarP(&cfg.Verbose, "verbose", "v", false, "also print the log of every component")
	f.Var(port{&cfg.HTTPPort}, "http-port", fmt.Sprintf("port of the service (default %d, or a free one)", devmode.DefaultHTTPPort))
	f.Var(port{&cfg.OrderPort}, "order-port", fmt.Sprintf("port of service-order (default %d, or a free one)", devmode.DefaultOrderPort))
	f.Var(port{&cfg.KafkaPort}, "kafka-port", fmt.Sprintf("port of Kafka (default %d, or a free one)", devkafka.DefaultPort))
	f.Var(port{&cfg.PostgresPort}, "postgres-port", "port of PostgreSQL (default: a free one)")
	return cmd
}

// port is a flag for a port; 0 if not set.
type port struct{ to *int }

func (p port) Type() string { return "PORT" }

func (p port) String() string {
	if p.to == nil || *p.to == 0 {
		return ""
	}
	return strconv.Itoa(*p.to)
}

func (p port) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("want a number from 1 to 65535")
	}
	*p.to = n
	return nil
}
