package orderevent

import (
	"context"
	"fmt"
	"time"
)

// MatchInterval is how long a crash between COMMIT and match, or a row that was locked
// and skipped, can leave an order waiting beside a free courier.
const MatchInterval = 250 * time.Millisecond

const (
	// matchBatch bounds one transaction of matching, to as many orders as a batch queues.
	matchBatch = maxBatch
	// smallBatch is how many orders a batch may have that matches in its own transaction,
	// and how many orders it then matches: one COMMIT and one round trip less for an order
	// that comes alone.
	smallBatch = 32
	// matchTimeout bounds one transaction of matching, and so the wait of the next one.
	matchTimeout = 3 * time.Second
	// maxFollowing batch workers match or wait; a third would find nothing that the second
	// does not match.
	maxFollowing = 2
)

// Matcher assigns waiting orders to free couriers. Batches only queue orders and free
// couriers. Matching runs
//
//   - at the end of the transaction of a small batch that queued an order, when no other
//     match runs;
//   - in the worker of a batch that queued an order or freed a courier (Trigger, then
//     MatchIfTriggered): for latency, and so that batches are not saved much faster than
//     they are matched;
//   - in the periodic task Matching, when triggered by a dispatcher's command or a
//     courier that became available, or by what a worker left unmatched;
//   - in the same task every MatchInterval: for correctness.
type Matcher struct {
	matching  MatchStore
	observer  Observer
	triggered chan struct{}
	// running holds the one match that runs: two at a time would skip each other's rows
	// and might assign couriers to later orders first.
	running chan struct{}
	// following holds the batch workers that match or wait to match.
	following chan struct{}
}

// NewMatcher returns a Matcher that uses matching.
func NewMatcher(matching MatchStore, observer Observer) *Matcher {
	return &Matcher{
		matching: matching, observer: observer, triggered: make(chan struct{}, 1),
		running: make(chan struct{}, 1), following: make(chan struct{}, maxFollowing),
	}
}

// Trigger requests a match soon. It never blocks; several calls cause one match.
func (m *Matcher) Trigger() {
	select {
	case m.triggered <- struct{}{}:
	default:
	}
}

// reserve lets a small batch match in its own transaction, until release; not while
// another match runs.
func (m *Matcher) reserve() (release func(), ok bool) {
	select {
	case m.running <- struct{}{}:
		return func() { <-m.running }, true
	default:
		return nil, false
	}
}

// Triggered receives after Trigger.
func (m *Matcher) Triggered() <-chan struct{} { return m.triggered }

// Match assigns until there is no waiting order or no free courier.
func (m *Matcher) Match(ctx context.Context) error {
	for {
		n, err := m.match(ctx, false)
		if err != nil || n < matchBatch {
			return err
		}
	}
}

// MatchIfTriggered matches once at the end of a batch, or waits while another worker
// does, unless one already waits. What is left over or failed is triggered again: the
// periodic task does it and reports an outage.
func (m *Matcher) MatchIfTriggered(ctx context.Context) {
	select {
	case m.following <- struct{}{}:
		defer func() { <-m.following }()
	default:
		return
	}
	n, err := m.match(ctx, true)
	if err != nil || n == matchBatch {
		m.Trigger()
	}
}

// match runs one transaction, while no other match runs.
func (m *Matcher) match(ctx context.Context, ifTriggered bool) (assigned int, err error) {
	select {
	case m.running <- struct{}{}:
		defer func() { <-m.running }()
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for the running match: %w", ctx.Err())
	}
	select {
	case <-m.triggered: // this match does what was requested
	default:
		if ifTriggered {
			return 0, nil // another worker has matched meanwhile
		}
	}
	ctx, cancel := context.WithTimeout(ctx, matchTimeout)
	defer cancel()
	ctx, end := m.observer.Begin(ctx, PhaseMatch)
	assignments, err := m.matching.Match(ctx, matchBatch)
	end(len(assignments), err)
	if err == nil && len(assignments) > 0 {
		m.observer.Matched(assignments)
	}
	return len(assignments), err
}
