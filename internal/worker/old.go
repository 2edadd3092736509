package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"service-courier/internal/outage"
)

// oldBatch is how many rows of the journal go in one transaction: few, so that
// nobody waits for it.
const oldBatch = 500

// oldRest is how often as long as a batch took the next one is waited for: at
// most a fifth of one connection's time goes into removing.
const oldRest = 4

// OldRecords is what is removed for its age.
type OldRecords interface {
	// Lead runs do on one replica only, and returns false on the others.
	Lead(ctx context.Context, do func(context.Context) error) (bool, error)
	// Remove removes at most limit rows of the journal older than age and the orders
	// whose ending they tell, and returns how many of both.
	Remove(ctx context.Context, age time.Duration, limit int) (rows, orders int, err error)
}

// Old removes finished deliveries, ended records and journal rows that are older
// than Age, and than every event that can still be read.
type Old struct {
	Records OldRecords
	Age     time.Duration
	// Kept returns how long the topic keeps an event; negative: for ever.
	Kept func(ctx context.Context) (time.Duration, error)
	Log  *slog.Logger

	told time.Duration // what was said of the topic last
}

// Run removes what is old, at once and every hour until ctx ends: on one replica.
func (o *Old) Run(ctx context.Context) {
	failing := outage.New(o.Log, "removing what is older than RETENTION")
	timer := time.NewTicker(retainEvery)
	defer timer.Stop()
	for {
		_, err := o.Records.Lead(ctx, o.remove)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failing.Failed(ctx, err)
		default:
			failing.Works(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

func (o *Old) remove(ctx context.Context) error {
	age, ok, err := o.age(ctx)
	if err != nil || !ok {
		return err
	}
	var removed, orders int
	for {
		began := time.Now()
		rows, ended, err := o.Records.Remove(ctx, age, oldBatch)
		removed, orders = removed+rows, orders+ended
		if err != nil || rows < oldBatch {
			if removed > 0 {
				o.Log.InfoContext(ctx, "removed what is older than RETENTION", slog.Int("journal_rows", removed), slog.Int("orders", orders))
			}
			return err
		}
		pause(ctx, oldRest*time.Since(began))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// keptMargin is for a record that is being read while Kafka removes it.
const keptMargin = time.Hour

// age returns how old something must be to go, or false: nothing may. A record
// must outlive every event about its order, or an old event would begin the order anew.
func (o *Old) age(ctx context.Context) (time.Duration, bool, error) {
	kept, err := o.Kept(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("how long does the topic keep events? %w", err)
	}
	news := kept != o.told
	o.told = kept
	switch {
	case kept < 0:
		if news {
			o.Log.WarnContext(ctx, "RETENTION removes nothing: the topic keeps its events for ever; give it a retention.ms")
		}
		return 0, false, nil
	case o.Age < kept+keptMargin:
		if news {
			o.Log.WarnContext(ctx, "RETENTION is shorter than the topic keeps its events (retention.ms and segment.ms together); removing later than it says",
				slog.Duration("retention", o.Age), slog.Duration("removed_after", kept+keptMargin))
		}
		return kept + keptMargin, true, nil
	}
	return o.Age, true, nil
}
