// Command service-courier gives every order of a food delivery a courier.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"service-courier/internal/app"
	"service-courier/internal/buildinfo"
)

func main() {
	ctx, stop := interruptible()
	err := execute(ctx, root())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "service-courier:", err)
	}
	os.Exit(exitCode(err))
}

// execute runs the command line. What fails before a command has begun is the
// command line's own fault.
func execute(ctx context.Context, cmd *cobra.Command) error {
	began := false
	strictCompletion(cmd)
	watchRuns(cmd, &began)
	err := cmd.ExecuteContext(ctx)
	if err != nil && !began {
		return usageError{err}
	}
	return err
}

// strictCompletion makes a mistyped shell an error, as in group: cobra's own
// command prints its help, which a shell's source would carry out. It is added
// here and not in root, since it keeps the output that cmd has by now.
func strictCompletion(cmd *cobra.Command) {
	cmd.InitDefaultCompletionCmd()
	for _, sub := range cmd.Commands() {
		if sub.Name() == "completion" {
			sub.RunE = func(sub *cobra.Command, _ []string) error { return sub.Help() }
		}
	}
}

// watchRuns sets began as soon as cmd or one below it begins.
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

// interruptible returns a context that the first SIGINT or SIGTERM ends; another one
// ends the process at once.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		awaitAnother(signals)
		fmt.Fprintln(os.Stderr, "service-courier: second signal, exiting at once")
		os.Exit(130)
	}()
	return ctx, cancel
}

// together is how far apart signals may come that are one: GNU timeout and some
// supervisors signal the process, and then its group, to which it belongs.
const together = 100 * time.Millisecond

// awaitAnother waits for a signal that does not belong to the one that came just now.
func awaitAnother(signals <-chan os.Signal) {
	first := time.Now()
	for range signals {
		if time.Since(first) > together {
			return
		}
	}
}

// The groups of the help.
const (
	groupService  = "service"
	groupOperator = "operator"
	groupRemote   = "remote"
)

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "service-courier",
		Short:         "Gives every order of a food delivery a courier",
		Long:          "service-courier listens to order events in Kafka, asks service-order what is really true,\nand keeps PostgreSQL so: it assigns couriers, frees them, and undoes cancelled deliveries.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Example: "  service-courier dev              everything in one process, nothing to install\n" +
			"  service-courier migrate up       make the schema in DATABASE_URL\n" +
			"  service-courier serve            the service, with settings from the environment and .env\n" +
			"  service-courier orders list      what a running server knows; COURIER_URL names it",
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
	})
	cmd.Version = buildinfo.Read().String()
	cmd.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	cmd.AddGroup(
		&cobra.Group{ID: groupService, Title: "The service:"},
		&cobra.Group{ID: groupOperator, Title: "Its database and its neighbours, with the settings of serve:"},
		&cobra.Group{ID: groupRemote, Title: "A running server (--server, COURIER_URL; COURIER_TOKEN):"},
	)
	for id, commands := range map[string][]*cobra.Command{
		groupService:  {dev(), serve(), health()},
		groupOperator: {migrate(), resync(), doctor(), deadLetters()},
		groupRemote:   remoteCommands(),
	} {
		for _, sub := range commands {
			sub.GroupID = id
			cmd.AddCommand(sub)
		}
	}
	cmd.AddCommand(version(), man())
	return cmd
}

func serve() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the service with the settings of the environment and .env",
		Long: "Runs the service. Its settings come from the environment and from the file .env; .env.example lists them.\n" +
			"It never migrates: without the schema it waits and says so.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return app.Serve(cmd.Context(), cmd.ErrOrStderr()) },
	}
}
