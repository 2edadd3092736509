package orderevent

import (
	"context"
	"sync"
)

// maxBatch ends the gathering: a batch takes no further submission once it has
// this many hints. Larger ones were measured to give nothing.
const maxBatch = 1000

// Coalescer gathers what the sources submit into batches: a batch of one when
// idle, larger ones by themselves under load, since whatever arrives while the
// others are busy is taken together. So events of one order that came over
// different partitions meet in one GET.
type Coalescer struct {
	submissions chan submission
	reconcile   func(context.Context, Batch) error
	workers     int
}

type submission struct {
	batch Batch
	done  chan<- error // buffered: the submitter may have left
}

// NewCoalescer returns a Coalescer that hands batches to reconcile, at most
// workers of them at a time.
func NewCoalescer(reconcile func(context.Context, Batch) error, workers int) *Coalescer {
	return &Coalescer{
		submissions: make(chan submission),
		reconcile:   reconcile,
		workers:     workers,
	}
}

// Submit waits until the batch is disposed of in a committed transaction.
// After an error nothing is known: submit it again. When ctx ends first, the
// batch may still be saved, which does no harm.
func (c *Coalescer) Submit(ctx context.Context, b Batch) error {
	if b.size() == 0 {
		return nil
	}
	done := make(chan error, 1)
	select {
	case c.submissions <- submission{b, done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run reconciles until ctx ends and the batches in hand are finished or given up.
func (c *Coalescer) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for range c.workers {
		wg.Go(func() { c.work(ctx) })
	}
	wg.Wait()
}

func (c *Coalescer) work(ctx context.Context) {
	for {
		select {
		case first := <-c.submissions:
			c.process(ctx, c.gather(first))
		case <-ctx.Done():
			return
		}
	}
}

// gather takes what else is waiting, without waiting for more.
func (c *Coalescer) gather(first submission) []submission {
	taken, size := []submission{first}, first.batch.size()
	for size < maxBatch {
		select {
		case s := <-c.submissions:
			taken = append(taken, s)
			size += s.batch.size()
		default:
			return taken
		}
	}
	return taken
}

func (c *Coalescer) process(ctx context.Context, taken []submission) {
	var all Batch
	for _, s := range taken {
		all.Hints = append(all.Hints, s.batch.Hints...)
		all.Letters = append(all.Letters, s.batch.Letters...)
	}
	err := c.reconcile(ctx, all)
	for _, s := range taken {
		s.done <- err
	}
}
