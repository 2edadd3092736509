//go:build !unix

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// devCommand refuses to run: PostgreSQL's server programs are started as on Unix.
func devCommand() *cobra.Command {
	return &cobra.Command{
		Use: "dev", Short: "Run everything in one process, for development (not on this system)", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("dev needs Linux or macOS: use WSL, or 'docker compose up'; serve and the client commands work here")
		},
	}
}
