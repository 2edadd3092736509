package orderevent

import (
	"context"
	"fmt"
	"time"
)

// matchBatch bounds one transaction of matching: to as many orders as a batch parks.
const matchBatch = maxBatch

// matchTimeout bounds one transaction of matching, and so the wait of who comes next.
const matchTimeout = 3 * time.Second

// Matcher gives waiting orders to free couriers. Batches only park orders and
// free couriers; this alone joins them, in transactions of its own.
type Matcher struct {
	line     Line
	observer Observer
	woken    chan struct{}
	// matching is full while somebody matches: two at a time would skip each other's rows, and so
	// might serve those behind first when couriers are few.
	matching chan struct{}
	// following holds the batches' workers that match or wait for their turn.
	following chan struct{}
}

// NewMatcher returns a Matcher of line.
func NewMatcher(line Line, observer Observer) *Matcher {
	return &Matcher{
		line: line, observer: observer, woken: make(chan struct{}, 1),
		matching: make(chan struct{}, 1), following: make(chan struct{}, maxFollowing),
	}
}

// Wake asks for a Match soon. It never blocks; many calls make one Match.
func (m *Matcher) Wake() {
	select {
	case m.woken <- struct{}{}:
	default:
	}
}

// Woken is signalled after Wake.
func (m *Matcher) Woken() <-chan struct{} { return m.woken }

// Match assigns until the line or the fleet is exhausted.
func (m *Matcher) Match(ctx context.Context) error {
	for {
		n, err := m.inTurn(ctx, m.once)
		if err != nil || n < matchBatch {
			return err
		}
	}
}

// maxFollowing is one who matches and one who waits for his turn, and will see what
// any third has saved.
const maxFollowing = 2

// Follow does what Wake has asked for, as the end of a batch's work, or waits while
// it is done, unless somebody waits already. So batches cannot come in much faster
// than they are matched, and the line stays short. What is left, and what fails, is
// for who is woken next, which also tells of an outage.
func (m *Matcher) Follow(ctx context.Context) {
	select {
	case m.following <- struct{}{}:
		defer func() { <-m.following }()
	default:
		return
	}
	n, err := m.inTurn(ctx, func(ctx context.Context) (int, error) {
		select {
		case <-m.woken:
			return m.once(ctx)
		default:
			return 0, nil // somebody has matched since
		}
	})
	if err != nil || n == matchBatch {
		m.Wake()
	}
}

// inTurn runs match while nobody else matches.
func (m *Matcher) inTurn(ctx context.Context, match func(context.Context) (int, error)) (assigned int, err error) {
	select {
	case m.matching <- struct{}{}:
	case <-ctx.Done():
		return 0, fmt.Errorf("match: wait for the one before: %w", ctx.Err())
	}
	defer func() { <-m.matching }()
	ctx, cancel := context.WithTimeout(ctx, matchTimeout)
	defer cancel()
	return match(ctx)
}

// once does one transaction.
func (m *Matcher) once(ctx context.Context) (assigned int, err error) {
	ctx, end := m.observer.Begin(ctx, PhaseMatch)
	assignments, err := m.line.Match(ctx, matchBatch)
	end(len(assignments), err)
	if err != nil {
		return 0, err
	}
	if len(assignments) > 0 {
		m.observer.Matched(assignments)
	}
	return len(assignments), nil
}
