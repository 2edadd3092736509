package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"service-courier/internal/buildinfo"
)

// man writes the manual's pages, for packages. It is hidden: a person reads --help.
func man() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual's pages into DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			built := buildinfo.Read()
			// The commit's time, so that the same sources give the same pages.
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
