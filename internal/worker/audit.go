package worker

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"service-courier/internal/outage"
)

const (
	// auditEvery is rare, for the whole database is read.
	auditEvery = 10 * time.Minute
	// auditAgain is after how long a promise that is broken must still be: an order
	// may just be on its way to its courier.
	auditAgain = 5 * time.Second
)

// Auditor finds the promises that the database does not keep, a line each.
type Auditor interface {
	Broken(ctx context.Context) ([]string, error)
}

// AuditObserver is told of every audit that was finished how many promises are
// broken, for the metrics.
type AuditObserver interface {
	Broken(promises int)
}

// Audit looks every so often, until ctx ends, whether the database keeps its
// promises. One that it does not keep is a fault of this service, or somebody's
// hand in its tables: it is said once, and again when others are broken.
func Audit(ctx context.Context, auditor Auditor, observer AuditObserver, log *slog.Logger) {
	failing := outage.New(log, "auditing the database")
	timer := time.NewTicker(auditEvery)
	defer timer.Stop()
	var said []string
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		broken, err := lasting(ctx, auditor)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failing.Failed(ctx, err)
			continue
		}
		failing.Works(ctx)
		observer.Broken(len(broken))
		switch {
		case len(broken) > 0 && !slices.Equal(broken, said):
			log.ErrorContext(ctx, "the database does not keep its promises",
				slog.Int("broken", len(broken)), slog.String("first", broken[0]))
		case len(broken) == 0 && len(said) > 0:
			log.InfoContext(ctx, "the database keeps its promises again")
		}
		said = broken
	}
}

// lasting returns what is broken now and still is a moment later.
func lasting(ctx context.Context, auditor Auditor) ([]string, error) {
	first, err := auditor.Broken(ctx)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	pause(ctx, auditAgain)
	again, err := auditor.Broken(ctx)
	slices.Sort(again) // to be compared with what was said
	return slices.DeleteFunc(again, func(promise string) bool { return !slices.Contains(first, promise) }), err
}
