package worker

import (
	"context"
	"log/slog"
	"time"

	"service-courier/internal/outage"
)

// retainEvery is how much longer than promised something may be kept.
const retainEvery = time.Hour

// Purger removes what was kept for long enough, and returns how much that was.
type Purger interface {
	Purge(ctx context.Context) (int, error)
}

// Retain removes dead letters that were handled long ago, at once and every hour
// until ctx ends; several replicas may.
func Retain(ctx context.Context, letters Purger, log *slog.Logger) {
	failing := outage.New(log, "removing dead letters handled long ago")
	timer := time.NewTicker(retainEvery)
	defer timer.Stop()
	for {
		removed, err := letters.Purge(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failing.Failed(ctx, err)
		default:
			failing.Works(ctx)
		}
		if removed > 0 {
			log.InfoContext(ctx, "removed dead letters that were handled long ago", slog.Int("letters", removed))
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}
