package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"service-courier/internal/buildinfo"
	"service-courier/internal/cli/output"
)

func versionCommand() *cobra.Command {
	format := output.Table
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
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
				return fmt.Errorf("encode the version: %w", err)
			}
			return writer(cmd, format).Item(document, nil)
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

// manCommand writes the manual pages of a release.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a directory", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			built := buildinfo.Read()
			// The time of the commit, so that the pages are reproducible.
			date, err := time.Parse(time.RFC3339, built.Date)
			if err != nil {
				date = time.Unix(0, 0)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: built.Version, Date: &date}, args[0])
		},
	}
}
