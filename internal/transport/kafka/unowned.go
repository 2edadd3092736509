package kafka

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// unownedInterval is longer than a rebalance.
const unownedInterval = 30 * time.Second

// unowned are the partitions that no member of the group has read for unownedInterval.
type unowned struct {
	mu         sync.Mutex
	candidates []int32 // at the last check
	partitions []int32
}

// check returns the partitions and whether they have changed.
func (u *unowned) check(now []int32) (partitions []int32, changed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	both := slices.DeleteFunc(slices.Clone(now), func(p int32) bool { return !slices.Contains(u.candidates, p) })
	changed = !slices.Equal(both, u.partitions)
	u.candidates, u.partitions = now, both
	return both, changed
}

// Unowned returns the partitions that no member of the group reads.
func (c *Consumer) Unowned() []int32 {
	c.unowned.mu.Lock()
	defer c.unowned.mu.Unlock()
	return c.unowned.partitions
}

// watchUnowned checks until ctx ends that each partition has an owner: those added to the
// topic have none until a member notices them.
func (c *Consumer) watchUnowned(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if !c.joined.Load() {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, offsetCheckTimeout)
		in, err := Inspect(limited, c.cfg)
		cancel()
		if err != nil || in.GroupErr != nil || in.Group.State != "Stable" {
			continue // reported elsewhere, or rebalancing
		}
		if partitions, changed := c.unowned.check(in.Unowned()); changed {
			if len(partitions) > 0 {
				c.log.WarnContext(ctx, "partitions without owner", slog.Any("partitions", partitions))
			} else {
				c.log.InfoContext(ctx, "every partition has an owner")
			}
		}
	}
}
