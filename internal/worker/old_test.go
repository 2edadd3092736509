package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/worker"
)

// oldRows is a journal of so many old rows, and notes with what age they were asked for.
type oldRows struct {
	left int
	ages []time.Duration
}

func (o *oldRows) Lead(ctx context.Context, do func(context.Context) error) (bool, error) {
	return true, do(ctx)
}

func (o *oldRows) Remove(_ context.Context, age time.Duration, limit int) (rows, orders int, err error) {
	o.ages = append(o.ages, age)
	rows = min(o.left, limit)
	o.left -= rows
	return rows, rows / 3, nil
}

// TestOldIsNeverYoungerThanAnEvent: what can still be told by an event that Kafka
// keeps is not removed. It fails when the topic's time is not looked at.
func TestOldIsNeverYoungerThanAnEvent(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name string
		kept time.Duration
		err  error
		want []time.Duration // asked to remove with this age, batch by batch
		says string
	}{
		{"the topic keeps less", day, nil, []time.Duration{30 * day, 30 * day, 30 * day}, ""},
		{"the topic keeps more", 60 * day, nil, []time.Duration{60*day + time.Hour, 60*day + time.Hour, 60*day + time.Hour}, "RETENTION is shorter"},
		{"the topic keeps for ever", -1, nil, nil, "RETENTION removes nothing"},
		{"Kafka cannot be asked", 0, errors.New("no broker"), nil, "no broker"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said strings.Builder
				rows := &oldRows{left: 1200}
				old := worker.Old{
					Records: rows, Age: 30 * day, Log: slog.New(slog.NewTextHandler(&said, nil)),
					Kept: func(context.Context) (time.Duration, error) { return c.kept, c.err },
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				old.Run(ctx)
				if !slices.Equal(rows.ages, c.want) {
					t.Errorf("removed with ages %v, want %v", rows.ages, c.want)
				}
				if !strings.Contains(said.String(), c.says) || c.says == "" && strings.Contains(said.String(), "WARN") {
					t.Errorf("said %q, want %q in it", said.String(), c.says)
				}
			})
		})
	}
}
