package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"service-courier/internal/outage"
)

const (
	// seedTimeout bounds the search for a broker that answers.
	seedTimeout = 5 * time.Second
	// seedGrace: the other brokers may answer this long after the first.
	seedGrace = 500 * time.Millisecond
)

// seeds returns the brokers of the configuration without those that accept a connection
// and answer nothing: sarama tries one after another, and waits long for each. It fails
// with the cause if none can be used.
func (c Config) seeds(ctx context.Context) (answering, silent []string, err error) {
	limited, cancel := context.WithTimeout(ctx, seedTimeout)
	type result struct {
		addr string
		err  error
	}
	results := make(chan result, len(c.Brokers))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, addr := range c.Brokers {
		wg.Go(func() { results <- result{addr, c.try(limited, addr)} })
	}
	silent = slices.Clone(c.Brokers)
	var failed error
	usable := false
	for waiting := true; waiting && len(silent) > 0; {
		select {
		case r := <-results:
			if limited.Err() != nil {
				break // it ended the connection
			}
			answering = append(answering, r.addr)
			silent = slices.DeleteFunc(silent, func(addr string) bool { return addr == r.addr })
			if failed == nil {
				failed = r.err
			}
			if r.err == nil {
				usable = true
				time.AfterFunc(seedGrace, cancel)
			}
		case <-limited.Done():
			waiting = false
		}
	}
	switch {
	case usable:
		return answering, silent, nil
	case failed != nil:
		return nil, silent, failed
	}
	return nil, silent, outage.Fixable{
		Cause: silence.text, Err: downError{fmt.Errorf("%s: %w", strings.Join(silent, ", "), limited.Err())}, Fix: silence.fix,
	}
}
