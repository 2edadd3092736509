package main

import (
	"time"

	"github.com/spf13/cobra"

	"service-courier/internal/cli"
	"service-courier/internal/cli/doctor"
	"service-courier/internal/cli/output"
)

func migrateCommand() *cobra.Command {
	format := output.Table
	status := &cobra.Command{
		Use: "status", Short: "List migrations and whether they are applied", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cli.MigrateStatus(cmd.Context(), writer(cmd, format))
		},
	}
	formatFlag(status, &format)
	return group("migrate", "Apply, roll back or list schema migrations", "Change or list the schema of the database in DATABASE_URL.",
		&cobra.Command{
			Use: "up", Short: "Apply all missing migrations", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return cli.MigrateUp(cmd.Context(), cmd.OutOrStdout()) },
		},
		&cobra.Command{
			Use: "down", Short: "Roll back the newest migration and drop its data", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return cli.MigrateDown(cmd.Context(), cmd.OutOrStdout()) },
		},
		status,
		&cobra.Command{
			Use: "grant ROLE", Short: "Grant a database role the rights that serve needs", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return cli.MigrateGrant(cmd.Context(), args[0], cmd.OutOrStdout())
			},
		})
}

func doctorCommand() *cobra.Command {
	format := output.Table
	var server string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Diagnose settings, PostgreSQL, Kafka and service-order",
		Long: "Check the settings, PostgreSQL with its schema and clock, the invariants of the data, Kafka with the topic\n" +
			"and the consumer group, service-order, and what needs attention. Change nothing. Print ok, warn or FAIL for\n" +
			"each check, and exit with 1 if one fails.\n\n" +
			"With --server, check a running server over its API instead: its components, the token in COURIER_TOKEN, lag,\n" +
			"clock, and what needs attention. This needs none of the server's settings.",
		Example: "  service-courier doctor\n  service-courier doctor --server http://127.0.0.1:8082",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if server == "" {
				return doctor.Run(cmd.Context(), writer(cmd, format))
			}
			client, err := cli.NewClient(server)
			if err != nil {
				return err
			}
			return doctor.RunServer(cmd.Context(), client, writer(cmd, format))
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "`URL` of a running server to check instead")
	formatFlag(cmd, &format)
	return cmd
}

func resyncCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "resync",
		Short: "Compare orders with service-order and repair differences",
		Long: "Compare with the orders that service-order lists as created since the given time. Fetch those that are\n" +
			"unknown or behind here, and every active order, and repair differences: after lost events, or after a\n" +
			"restore from a backup. The command is safe beside running replicas and can be repeated.",
		Example: "  service-courier resync --since 24h\n  service-courier resync --since 2026-01-02T15:00:00Z",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			return cli.Resync(cmd.Context(), from, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&since, "since", "24h", "compare orders since a time (RFC 3339) or for a duration such as 24h")
	return cmd
}

func outboxCommand() *cobra.Command {
	format := output.Table
	var since string
	var skip bool
	cmd := &cobra.Command{
		Use:   "outbox",
		Short: "Show or move from where events of assignments are published",
		Long: "Show up to where the events for KAFKA_ASSIGNMENT_TOPIC are published. With --since, publish from a given\n" +
			"time on: what was published before is published again, with the same event_id. Without it, an outbox that\n" +
			"is switched on begins with what happens from then on. The command is safe beside running replicas; before\n" +
			"the first start it sets where they begin. Transitions that RETENTION removed are not published.",
		Example: "  service-courier outbox\n  service-courier outbox --since 24h\n  service-courier outbox --since 2026-01-02T15:00:00Z\n" +
			"  service-courier outbox --since 0s --skip   # from now on",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("since") {
				return cli.ShowOutbox(cmd.Context(), writer(cmd, format))
			}
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			return cli.PublishSince(cmd.Context(), from, skip, cmd.OutOrStdout())
		},
	}
	formatFlag(cmd, &format)
	cmd.Flags().StringVar(&since, "since", "", "publish since a time (RFC 3339) or for a duration such as 24h")
	cmd.Flags().BoolVar(&skip, "skip", false, "with --since, leave out earlier transitions that are not published yet")
	needs(cmd, "skip", "since")
	exclusive(cmd, "since", "output")
	return cmd
}

// parseSince reads a time, or a duration before now.
func parseSince(s string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, cli.Usagef("--since %q: want a time such as 2026-01-02T15:00:00Z, or a duration such as 24h", s)
	}
	return at, nil
}
