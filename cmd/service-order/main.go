// Command service-order is a stand-in for the neighbour of that name: its HTTP
// API, its order life, its Kafka events. Without flags it behaves as the
// original does, with real timers and no orders of its own.
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
	"service-courier/internal/ordersim"
)

// stopWithin bounds the graceful end; a second signal ends it at once.
const stopWithin = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from the first signal on the default holds again: the next one kills
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "service-order:", err)
		os.Exit(exitCode(err))
	}
}

// usageError says that the command line or the environment is wrong; nothing was done.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode is as service-courier's.
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
		return usageError{fmt.Errorf("%w; %s --help lists what there is", err, cmd.CommandPath())}
	}
	return nil
}

func command() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "service-order",
		Short: "A stand-in for service-order: its HTTP API, order life and Kafka events",
		Long: `A stand-in for service-order: its HTTP API under /public/api/v1, its order life
(created 1s, pending 5s, confirmed 5s, cooking 5m, delivering 10m, completed) and
its Kafka events. Without flags it is as the original: real timers, no orders of
its own, everything in memory.

The exit code is 2 when the command line or the environment is wrong, else 1 when
it failed.

Environment:
  HTTP_ADDR           where to serve (default 127.0.0.1:8080)
  KAFKA_BROKERS       host:port, comma separated (default none: no events)
  KAFKA_ORDER_TOPIC   (default order.status.changed)

An order by hand:
  curl -X POST http://127.0.0.1:8080/public/api/v1/order -H 'X-Bypass-Auth: true' \
    -d '{"restaurant_id":"r1","items":[{"name":"Pizza","quantity":1,"price":500}],
         "total_price":500,"address":{"street":"Main"}}'`,
		Example: `  service-order                                # as the original
  service-order --demo                         # orders come, live half a minute, end
  service-order --time-scale 60 --rate 2       # two orders a second, a life of 15 s
  service-order --step cooking=3s,delivering=5s --every 2s --cancel-share 0.2`,
		Args:          noArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config(cmd.Flags().Changed, os.Getenv)
			if err != nil {
				return usageError{err}
			}
			return run(cmd.Context(), cfg)
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())}
	})
	f.register(cmd.Flags())
	cmd.Version = buildinfo.Read().String()
	cmd.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.AddCommand(health())
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
		greet(cfg, sim.Addr())
		<-ctx.Done()
		cfg.Logger.Info("stopping, a second signal ends it at once")
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(err, sim.Stop(stopCtx))
}

// greet says where to look.
func greet(cfg ordersim.Config, addr string) {
	cfg.Logger.Info("service-order is up", slog.String("orders", "http://"+addr+"/public/api/v1/orders"))
	if len(cfg.Brokers) == 0 {
		cfg.Logger.Warn("KAFKA_BROKERS is empty, no events are published")
	}
}
