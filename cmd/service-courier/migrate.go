package main

import (
	"github.com/spf13/cobra"

	"service-courier/internal/app"
	"service-courier/internal/output"
)

func migrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make, take back or list the schema in DATABASE_URL, or give a role rights on it",
		Args:  cobra.NoArgs, // a mistyped command is an error, and no success to whom waits for it
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "up", Short: "Apply every migration that is missing", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return app.MigrateUp(cmd.Context(), cmd.OutOrStdout()) },
		},
		&cobra.Command{
			Use: "down", Short: "Take the newest migration back (its tables and their data are dropped)", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return app.MigrateDown(cmd.Context(), cmd.OutOrStdout()) },
		},
		migrations(),
		&cobra.Command{
			Use: "grant ROLE", Short: "Give an existing database role what serve needs, which is no DDL", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return app.MigrateGrant(cmd.Context(), args[0], cmd.OutOrStdout())
			},
		},
	)
	return cmd
}

func migrations() *cobra.Command {
	format := output.Table
	cmd := &cobra.Command{
		Use: "status", Short: "List the migrations", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.MigrateStatus(cmd.Context(), output.Writer{Out: cmd.OutOrStdout(), Format: format})
		},
	}
	formatFlag(cmd, &format)
	return cmd
}
