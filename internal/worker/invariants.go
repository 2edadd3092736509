package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

const (
	// invariantInterval is long because a check reads the whole database.
	invariantInterval = 10 * time.Minute
	// confirmAfter is the pause before a second check: a change in progress may look
	// like a violation for a moment.
	confirmAfter = 5 * time.Second
)

// ErrNotChecked skips a round: the invariants cannot be checked at present, which is neither
// a violation nor an outage.
var ErrNotChecked = errors.New("not checked")

// InvariantCheck logs and counts the violations that check finds twice in a row. A
// violation is a fault of this service, or a manual change of its tables.
func InvariantCheck(leader Leader, check func(context.Context) ([]string, error), observe func(violated int), log *slog.Logger) Task {
	var logged []string
	return Task{
		Name: "invariant_check", Interval: invariantInterval, Delay: invariantInterval, Leader: leader,
		Run: func(ctx context.Context) error {
			violations, err := CheckTwice(ctx, check)
			if errors.Is(err, ErrNotChecked) {
				log.WarnContext(ctx, "invariants not checked", slog.Any("error", err))
				return err
			}
			if err != nil {
				return err
			}
			observe(len(violations))
			switch {
			case len(violations) > 0 && !slices.Equal(violations, logged):
				log.ErrorContext(ctx, "invariant violated", slog.Int("violations", len(violations)), slog.String("first", violations[0]))
			case len(violations) == 0 && len(logged) > 0:
				log.InfoContext(ctx, "invariant violations resolved")
			}
			logged = violations
			return nil
		},
	}
}

// CheckTwice returns the violations that two checks found, sorted.
func CheckTwice(ctx context.Context, check func(context.Context) ([]string, error)) ([]string, error) {
	first, err := check(ctx)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	sleep(ctx, confirmAfter)
	second, err := check(ctx)
	slices.Sort(second)
	return slices.DeleteFunc(second, func(violation string) bool { return !slices.Contains(first, violation) }), err
}
