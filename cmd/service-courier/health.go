package main

import (
	"github.com/spf13/cobra"

	"service-courier/internal/app"
)

func health() *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the running service whether it lives; the exit code is 0 or 1",
		Long: "Asks /livez of the service that listens on HTTP_ADDR, or with --ready /readyz: for the health checks of\n" +
			"containers, which may have no other HTTP client. The exit code is 0 for yes, 1 for no, which is explained.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.Health(cmd.Context(), ready, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it has all it needs: database, schema, consumer group")
	return cmd
}
