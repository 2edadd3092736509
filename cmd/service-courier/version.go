package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"service-courier/internal/buildinfo"
	"service-courier/internal/output"
)

// version says which build this is, to a person as --version does.
func version() *cobra.Command {
	format := output.Table
	cmd := &cobra.Command{
		Use: "version", Short: "Say which build this is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, build := cmd.Root().Name(), buildinfo.Read()
			if format == output.Table {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), name, build)
				return err
			}
			document, err := json.Marshal(struct {
				Name string `json:"name"`
				buildinfo.Info
			}{name, build})
			if err != nil {
				return fmt.Errorf("write the version: %w", err)
			}
			return output.Writer{Out: cmd.OutOrStdout(), Format: format}.Item(document, nil)
		},
	}
	formatFlag(cmd, &format)
	return cmd
}
