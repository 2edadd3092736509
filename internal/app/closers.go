package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Closers stops what was started, the last first.
type Closers struct {
	list []closer
	once sync.Once
	err  error
}

type closer struct {
	name  string
	close func(context.Context) error
}

// Add registers a closer. It has to return when its context ends.
func (c *Closers) Add(name string, stop func(context.Context) error) {
	c.list = append(c.list, closer{name, stop})
}

// Close calls every closer once, whatever the others return. Further calls return
// the same error.
func (c *Closers) Close(ctx context.Context) error {
	c.once.Do(func() {
		var errs []error
		for _, closer := range slices.Backward(c.list) {
			if err := closer.close(ctx); err != nil {
				errs = append(errs, fmt.Errorf("stop %s: %w", closer.name, err))
			}
		}
		c.err = errors.Join(errs...)
	})
	return c.err
}
