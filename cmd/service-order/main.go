// Command service-order simulates service-order: its HTTP API, order lifecycle and
// Kafka events. Without flags it behaves like the original, with real timers and no
// generated orders.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"service-courier/internal/buildinfo"
	"service-courier/internal/dev/ordersim"
)

// stopWithin bounds a graceful stop; a second signal ends the process at once.
const stopWithin = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal kills the process, as by default
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "service-order:", err)
		os.Exit(exitCode(err))
	}
}

// usageError means that the command line or the environment is wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode returns the codes of service-courier.
func exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return 2
	}
	return 1
}

func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	}
	return nil
}

func command() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "service-order",
		Short: "Simulate service-order: HTTP API, order lifecycle, Kafka events",
		Long: `Simulates service-order: its HTTP API under /public/api/v1, its gRPC API
orders.v1.OrdersService, its order lifecycle (created 1s, pending 5s, confirmed 5s,
cooking 5m, delivering 10m, completed) and its Kafka events. Without flags it behaves
like the original: real timers, no generated orders, everything in memory.

The exit code is 2 if the command line or the environment is wrong, and 1 for
other errors.

Environment:
  HTTP_ADDR           address to listen on (default 127.0.0.1:8080)
  GRPC_ADDR           address of the gRPC API (default 127.0.0.1:50051)
  HTTP_ALLOWED_HOSTS  host names besides localhost, comma separated (default: none)
  KAFKA_BROKERS       host:port, comma separated (default: no events)
  KAFKA_ORDER_TOPIC   topic of the events (default order.status.changed)

A running simulator is controlled by 'service-order ctl'. To create an order:
  curl -X POST http://127.0.0.1:8080/public/api/v1/order -H 'X-Bypass-Auth: true' \
    -d '{"restaurant_id":"r1","items":[{"name":"Pizza","quantity":1,"price":500}],
         "total_price":500,"address":{"street":"Main"}}'`,
		Example: `  service-order                                # like the original
  service-order --demo                         # generated orders of a minute or more
  service-order --time-scale 60 --rate 2       # two orders per second, of 15 s each
  service-order --step cooking=3s,delivering=5s --every 2s --cancel-share 0.2`,
		Args:          noArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config(cmd.Flags().Changed, os.Getenv)
			if err != nil {
				return usageError{err}
			}
			// It goes on without a log when the reader of the log ends.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			return run(cmd.Context(), cfg)
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	f.register(cmd.Flags())
	cmd.Version = buildinfo.Read().String()
	cmd.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.AddCommand(health(), ctl())
	return cmd
}

// run serves until ctx ends, then stops gracefully.
func run(ctx context.Context, cfg ordersim.Config) error {
	sim, err := ordersim.New(cfg)
	if err != nil {
		return err
	}
	err = sim.Start(ctx)
	if err == nil {
		logStart(cfg, sim)
		<-ctx.Done()
		cfg.Logger.Info("stopping")
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(err, sim.Stop(stopCtx))
}

// logStart logs the URL of the orders.
func logStart(cfg ordersim.Config, sim *ordersim.Sim) {
	cfg.Logger.Info("listening", slog.String("orders", "http://"+sim.Addr()+"/public/api/v1/orders"), slog.String("grpc", sim.GRPCAddr()))
	if len(cfg.Brokers) == 0 {
		cfg.Logger.Warn("KAFKA_BROKERS is not set, no events are published")
	}
}
