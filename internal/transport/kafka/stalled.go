package kafka

import (
	"fmt"
	"sync"
	"time"
)

// stalledAfter is longer than a failover, a lost race or a restart of PostgreSQL takes.
const stalledAfter = 10 * time.Second

// stalled are the partitions whose records cannot be saved at present.
type stalled struct {
	mu         sync.Mutex
	partitions map[int32]stall
}

type stall struct {
	since time.Time // of the first failed attempt
	cause error     // of the last one
}

func (s *stalled) failed(partition int32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := time.Now()
	if earlier, ok := s.partitions[partition]; ok {
		since = earlier.since
	}
	if s.partitions == nil {
		s.partitions = make(map[int32]stall)
	}
	s.partitions[partition] = stall{since, err}
}

// ended is called when the records are saved, or wait for another reason. It reports
// whether no partition is stalled.
func (s *stalled) ended(partition int32) (none bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.partitions, partition)
	return len(s.partitions) == 0
}

// err names the partition that has been stalled longest and the cause, if it has been
// stalled for stalledAfter.
func (s *stalled) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var partition int32
	var longest stall
	for p, st := range s.partitions {
		if longest.cause == nil || st.since.Before(longest.since) {
			partition, longest = p, st
		}
	}
	if longest.cause == nil || time.Since(longest.since) < stalledAfter {
		return nil
	}
	more := ""
	if n := len(s.partitions) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return because(fmt.Errorf("stalled: partition %d%s has saved nothing for %v", partition, more,
		time.Since(longest.since).Round(time.Second)), longest.cause)
}
