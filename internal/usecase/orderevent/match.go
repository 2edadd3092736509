package orderevent

import (
	"context"
	"sync"
)

// matchBatch bounds one transaction of matching: to as many orders as a batch parks.
const matchBatch = maxBatch

// Matcher gives waiting orders to free couriers. Batches only park orders and
// free couriers; this alone joins them, in transactions of its own.
type Matcher struct {
	line     Line
	observer Observer
	woken    chan struct{}
	// Two at a time would skip each other's rows, and so might serve those behind
	// first when couriers are few.
	alone sync.Mutex
}

// NewMatcher returns a Matcher of line.
func NewMatcher(line Line, observer Observer) *Matcher {
	return &Matcher{line: line, observer: observer, woken: make(chan struct{}, 1)}
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
		n, err := m.once(ctx)
		if err != nil || n < matchBatch {
			return err
		}
	}
}

// follow matches after a batch, as part of its work: so batches cannot come in
// faster than they are matched, and the line stays short. What it leaves or fails
// at is for the loop that Wake wakes, which also tells of an outage.
func (m *Matcher) follow(ctx context.Context) {
	if n, err := m.once(ctx); err != nil || n == matchBatch {
		m.Wake()
	}
}

func (m *Matcher) once(ctx context.Context) (assigned int, err error) {
	m.alone.Lock()
	defer m.alone.Unlock()
	matching, end := m.observer.Begin(ctx, PhaseMatch)
	assignments, err := m.line.Match(matching, matchBatch)
	end(len(assignments), err)
	if err != nil {
		return 0, err
	}
	if len(assignments) > 0 {
		m.observer.Matched(assignments)
	}
	return len(assignments), nil
}
