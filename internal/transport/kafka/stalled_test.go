package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
)

// TestStalledPartitionIsNotReady: the status names a partition whose records cannot be
// saved, and the cause without names, until they are saved. A partition is not stalled
// while service-order is unavailable, which another component shows.
func TestStalledPartitionIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var c *Consumer
		attempts := 0
		c = NewConsumer(Config{}, sinkFunc(func(orderevent.Batch) error {
			attempts++
			switch err := c.Status(); {
			case attempts <= 20:
				if err != nil {
					t.Errorf("attempt %d, while service-order is unavailable: %v", attempts, err)
				}
				return orderevent.ErrPaused
			case attempts == 22 && err != nil:
				t.Errorf("after one failed attempt: %v", err)
			case attempts == 40:
				const want = "stalled: partition 3 has saved nothing for "
				if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), ": a right is missing; grant it") {
					t.Errorf("Status() = %v, want %s…", err, want)
				}
				return nil
			}
			return fmt.Errorf("save: %w", outage.Fixable{Cause: "a right is missing", Err: errors.New("permission denied for user ann"), Fix: "grant it"})
		}), unobserved{}, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
		c.joined.Store(true)
		f := newFeed(events(0, 1)...)
		in := c.newReader(f)
		in.group = f
		if !c.save(t.Context(), in, in.take(t.Context(), nil)) || attempts != 40 {
			t.Errorf("saved after %d attempts", attempts)
		}
		if err := c.Status(); err != nil {
			t.Errorf("after the records are saved: %v", err)
		}
	})
}

// TestOutageOfOnePartitionIsLoggedOnce, although others are saved meanwhile.
func TestOutageOfOnePartitionIsLoggedOnce(t *testing.T) {
	var s stalled
	s.failed(3, errors.New("permission denied"))
	s.failed(4, errors.New("permission denied"))
	if s.ended(4) {
		t.Error("the outage has ended, though partition 3 is stalled")
	}
	if !s.ended(3) {
		t.Error("the outage goes on, though no partition is stalled")
	}
}
