package main

import (
	"github.com/spf13/cobra"

	"service-courier/internal/app"
	"service-courier/internal/output"
)

func doctor() *cobra.Command {
	format := output.Table
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong, and how to mend it",
		Long: "Checks the settings, PostgreSQL with its schema and its clock, the promises that the data must keep, Kafka with\n" +
			"the topic and the consumer group, service-order, and what waits for a person. It changes nothing. Each line is\n" +
			"ok, warn or FAIL; the exit code is 1 when anything fails.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.Doctor(cmd.Context(), output.Writer{Out: cmd.OutOrStdout(), Format: format})
		},
	}
	formatFlag(cmd, &format)
	return cmd
}
