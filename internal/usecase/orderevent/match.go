package orderevent

import "context"

// matchBatch bounds one transaction of matching.
const matchBatch = 500

// Matcher gives waiting orders to free couriers. Batches only park orders and
// free couriers; this alone joins them, in transactions of its own.
type Matcher struct {
	line     Line
	observer Observer
	woken    chan struct{}
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
		matching, end := m.observer.Begin(ctx, PhaseMatch)
		assignments, err := m.line.Match(matching, matchBatch)
		end(len(assignments), err)
		if err != nil {
			return err
		}
		if len(assignments) > 0 {
			m.observer.Matched(assignments)
		}
		if len(assignments) < matchBatch {
			return nil
		}
	}
}
