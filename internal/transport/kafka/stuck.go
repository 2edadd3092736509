package kafka

import (
	"sync"
	"time"
)

const (
	stuckFor  = 10 * time.Second // after the last error of the kind, which comes every Retry.Backoff
	stuckSaid = time.Minute
)

// stuck remembers that the consumer meets what keeps it from reading, such as a
// batch that it can never unpack.
type stuck struct {
	mu   sync.Mutex
	last time.Time
	said time.Time
}

// again notes one more try that failed, and reports whether it is to be told.
func (s *stuck) again() (tell bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if time.Since(s.said) < stuckSaid {
		return false
	}
	s.said = s.last
	return true
}

// over forgets it: something was read.
func (s *stuck) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Time{}
}

func (s *stuck) now() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.last.IsZero() && time.Since(s.last) < stuckFor
}
