// Command service-courier assigns couriers to the orders of a food delivery.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"service-courier/internal/app"
	"service-courier/internal/buildinfo"
	"service-courier/internal/cli"
	"service-courier/internal/cli/output"
)

func main() {
	ctx, stop := interruptible()
	err := execute(ctx, root())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "service-courier:", output.PrintableLines(err.Error()))
	}
	os.Exit(cli.ExitCode(err))
}

// execute runs the command line. An error before a command has begun is a wrong
// command line.
func execute(ctx context.Context, cmd *cobra.Command) error {
	began := false
	strictCompletion(cmd)
	watchRuns(cmd, &began)
	sub, err := cmd.ExecuteContextC(ctx)
	if err != nil && !began {
		if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			if _, ok := errors.AsType[*strconv.NumError](err); ok {
				err = fmt.Errorf("invalid value %q of --%s: want a number", invalid.GetValue(), invalid.GetFlag().Name)
			}
		}
		return cli.Usagef("%w\nSee '%s --help'.", err, sub.CommandPath())
	}
	return err
}

// strictCompletion makes a mistyped shell an error: cobra's own command prints its
// help, which a shell would then source. It is added here, not in root, because it
// keeps the output that cmd has when it is added.
func strictCompletion(cmd *cobra.Command) {
	cmd.InitDefaultCompletionCmd()
	for _, sub := range cmd.Commands() {
		if sub.Name() == "completion" {
			sub.RunE = func(sub *cobra.Command, _ []string) error { return sub.Help() }
		}
	}
}

// watchRuns sets began as soon as cmd or a subcommand begins.
func watchRuns(cmd *cobra.Command, began *bool) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*began = true
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		watchRuns(sub, began)
	}
}

// interruptible returns a context that the first SIGINT or SIGTERM ends. A second
// signal ends the process at once.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		awaitSecond(signals)
		fmt.Fprintln(os.Stderr, "service-courier: second signal, exiting at once")
		os.Exit(130)
	}()
	return ctx, cancel
}

// sameSignal is the time within which signals count as one: GNU timeout and some
// supervisors signal the process, and then its process group.
const sameSignal = 100 * time.Millisecond

// awaitSecond waits for a signal that does not belong to the first.
func awaitSecond(signals <-chan os.Signal) {
	first := time.Now()
	for range signals {
		if time.Since(first) > sameSignal {
			return
		}
	}
}

// The groups of the help.
const (
	groupService  = "service"
	groupOperator = "operator"
	groupServer   = "server"
)

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service-courier",
		Short: "Assign couriers to the orders of a food delivery",
		Long: "service-courier reads order events from Kafka, fetches each order from service-order,\n" +
			"assigns couriers to orders, frees them on completion and rolls back cancelled deliveries.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Example: "  service-courier dev              # everything in one process, nothing to install\n" +
			"  service-courier migrate up       # create or update the schema in DATABASE_URL\n" +
			"  service-courier serve            # settings from the environment and .env\n" +
			"  service-courier orders list      # orders of the server at COURIER_URL",
	}
	cmd.Version = buildinfo.Read().String()
	cmd.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	cmd.AddGroup(
		&cobra.Group{ID: groupService, Title: "Service:"},
		&cobra.Group{ID: groupOperator, Title: "Database and Kafka, with the settings of serve:"},
		&cobra.Group{ID: groupServer, Title: "Running server (--server or COURIER_URL, COURIER_TOKEN):"},
	)
	for id, commands := range map[string][]*cobra.Command{
		groupService:  {devCommand(), serveCommand(), healthCommand()},
		groupOperator: {migrateCommand(), resyncCommand(), outboxCommand(), doctorCommand(), deadLettersCommand()},
		groupServer:   serverCommands(),
	} {
		for _, sub := range commands {
			sub.GroupID = id
			cmd.AddCommand(sub)
		}
	}
	cmd.AddCommand(versionCommand(), manCommand())
	return cmd
}

// group returns a command that only has subcommands. A mistyped one is an error.
func group(use, short, long string, sub ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sub...)
	return cmd
}

func serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: "Run the service with the settings of the environment and of the file .env; .env.example lists them.\n" +
			"The schema is never migrated: run 'migrate up' first. The service waits until it is there.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// When the reader of the log ends, as in 'serve 2>&1 | head', the service goes on
			// without a log. The signal's default would end it without a shutdown.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			return app.Serve(cmd.Context(), cmd.ErrOrStderr())
		},
	}
}

func healthCommand() *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Check whether the service is alive; exit code 0 or 1",
		Long: "Request /livez, or with --ready /readyz, of the service at HTTP_ADDR: a health check for containers\n" +
			"without an HTTP client. Exit with 0 for yes, 1 for no.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cli.Health(cmd.Context(), ready, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "check readiness: database, schema and consumer group")
	return cmd
}
