package kafka

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// hungAfter is the session timeout of the group: brokers answer a heartbeat every two
	// seconds, and a fetch of an idle partition more often.
	hungAfter    = 6 * time.Second
	hungInterval = time.Second
)

// answers notes when a broker last answered a client.
type answers struct {
	began time.Time
	last  atomic.Int64 // nanoseconds since began
}

func newAnswers() *answers { return &answers{began: time.Now()} }

func (a *answers) note() { a.last.Store(int64(time.Since(a.began))) }

// silent returns how long no broker has answered.
func (a *answers) silent() time.Duration { return time.Since(a.began) - time.Duration(a.last.Load()) }

// awaitHung returns once no broker of the configuration can be used, or nil when ctx ends.
// Only connections without any answer are a reason to try: a broker that hangs keeps them
// open, and sarama needs minutes to notice it. A broker may delay an answer while the group
// rebalances, so the silence alone proves nothing.
func (c *Consumer) awaitHung(ctx context.Context, heard *answers) error {
	ticker := time.NewTicker(hungInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if heard.silent() < hungAfter {
			continue
		}
		_, _, err := c.cfg.seeds(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		heard.note()
	}
}
