package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	// cleanupInterval is the interval of the tasks that delete old rows.
	cleanupInterval = time.Hour
	// retentionBatch bounds the journal rows that one transaction removes.
	retentionBatch = 500
	// retentionPause is the pause after a batch, as a multiple of the batch's
	// duration: removal takes at most a fifth of one connection's time.
	retentionPause = 4
	// topicMargin allows for a record that is being read while Kafka removes it.
	topicMargin = time.Hour
)

// Retention removes journal rows older than age, and the orders that ended with them.
type Retention struct {
	Age time.Duration
	// Remove removes at most limit journal rows older than age, and the orders whose
	// end they record. It returns how many of both it removed.
	Remove func(ctx context.Context, age time.Duration, limit int) (rows, orders int, err error)
	// TopicAge returns how long the topic keeps an event; negative means forever.
	TopicAge func(context.Context) (time.Duration, error)
	Log      *slog.Logger

	logged time.Duration // the TopicAge that was logged last
}

// Task returns the task, which runs on one replica at a time.
func (r *Retention) Task(leader Leader) Task {
	return Task{Name: "retention", Interval: cleanupInterval, Leader: leader, Run: r.run}
}

func (r *Retention) run(ctx context.Context) error {
	age, ok, err := r.effectiveAge(ctx)
	if err != nil || !ok {
		return err
	}
	var rows, orders int
	for {
		began := time.Now()
		removed, ended, err := r.Remove(ctx, age, retentionBatch)
		rows, orders = rows+removed, orders+ended
		if err != nil || removed < retentionBatch {
			if rows > 0 {
				r.Log.InfoContext(ctx, "old orders removed", slog.Int("journal_rows", rows), slog.Int("orders", orders))
			}
			return err
		}
		sleep(ctx, retentionPause*time.Since(began))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// effectiveAge returns the age at which orders are removed, false for never. An order
// must outlive every event about it, or an old event would create it again.
func (r *Retention) effectiveAge(ctx context.Context) (time.Duration, bool, error) {
	topic, err := r.TopicAge(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("read the topic's retention: %w", err)
	}
	changed := topic != r.logged
	r.logged = topic
	switch {
	case topic < 0:
		if changed {
			r.Log.WarnContext(ctx, "retention disabled by topic settings",
				slog.String("fix", "set retention.ms of the topic: it keeps events forever"))
		}
		return 0, false, nil
	case r.Age < topic+topicMargin:
		if changed {
			r.Log.WarnContext(ctx, "retention shorter than topic retention",
				slog.Duration("retention", r.Age), slog.Duration("removed_after", topic+topicMargin))
		}
		return topic + topicMargin, true, nil
	}
	return r.Age, true, nil
}
