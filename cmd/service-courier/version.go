package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"service-courier/internal/buildinfo"
)

// version says which build this is, as --version does.
func version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which build this is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), cmd.Root().Name(), buildinfo.Read())
			return err
		},
	}
}
