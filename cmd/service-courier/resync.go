package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"service-courier/internal/app"
)

func resync() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "resync",
		Short: "Compare every order with service-order once, now",
		Long: "Asks service-order for every order created since the given time, and about every open order of our own,\n" +
			"and mends what differs: after lost events, or when the database was restored from a backup.\n" +
			"It is safe beside running replicas and may be repeated.",
		Example: "  service-courier resync --since 24h\n  service-courier resync --since 2026-01-02T15:00:00Z",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			return app.Resync(cmd.Context(), from, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&since, "since", "24h", "how far back: a time (RFC 3339), or how long ago, such as 24h")
	return cmd
}

// parseSince reads a time, or a duration before now.
func parseSince(s string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, usageError{fmt.Errorf("--since %q: want a time such as 2026-01-02T15:00:00Z, or how long ago, such as 24h", s)}
	}
	return at, nil
}
