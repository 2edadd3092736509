package records

import (
	"context"
	"sync"
	"time"
)

// sharedFor is how long the newest records are shared by all clients that follow a topic:
// the events page reads once a second, so that any number of viewers costs one read.
const sharedFor = 900 * time.Millisecond

// feed reads one topic for all clients, one query at a time.
type feed struct {
	topic    Topic
	describe func(context.Context, []Record) ([]Described, error)
	turn     chan struct{} // of size 1: held while reading

	mu     sync.Mutex
	latest []Described
	query  Query
	until  time.Time
}

func newFeed(topic Topic, describe func(context.Context, []Record) ([]Described, error)) *feed {
	return &feed{topic: topic, describe: describe, turn: make(chan struct{}, 1)}
}

func (f *feed) read(ctx context.Context, q Query) ([]Described, error) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if shared, ok := f.shared(q); ok {
		return shared, nil
	}
	all, err := f.topic.Read(ctx, q)
	if err != nil {
		return nil, err
	}
	described, err := f.describe(ctx, all)
	if err == nil && q == Latest(q.Limit) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.latest, f.query, f.until = described, q, time.Now().Add(sharedFor)
	}
	return described, err
}

func (f *feed) shared(q Query) ([]Described, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest, f.latest != nil && q == f.query && time.Now().Before(f.until)
}
