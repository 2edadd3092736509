package orderevent

import (
	"context"
	"sync"
)

// maxBatch ends a batch: once it has this many orders, only the rest of a
// submission comes with it. Larger ones were measured to give nothing.
const maxBatch = 1000

// Coalescer gathers what the sources submit into batches: a batch of one when
// idle, larger ones by themselves under load, since whatever arrives while the
// others are busy is taken together. So events of one order that came over
// different partitions meet in one GET.
type Coalescer struct {
	queue     *queue
	ready     chan struct{} // something may wait
	reconcile func(context.Context, Batch) error
	follow    func(context.Context)
	workers   int
}

// NewCoalescer returns a Coalescer that hands batches to reconcile, at most
// workers of them at a time. After a batch, when its submitters have been answered,
// the worker calls follow before it takes the next. served is told how many hints
// needed no batch, since a look that began after they had come stands for them.
func NewCoalescer(
	reconcile func(context.Context, Batch) error, follow func(context.Context), workers int, served func(hints int),
) *Coalescer {
	return &Coalescer{
		queue:     newQueue(served),
		ready:     make(chan struct{}, 1),
		reconcile: reconcile,
		follow:    follow,
		workers:   workers,
	}
}

// Submit waits until the batch is disposed of in committed transactions. A
// RefusedError names those of its orders that the database will never take; the
// rest of the batch is saved. After any other error nothing is known: submit it
// again. When ctx ends first, the batch may still be saved, which does no harm.
func (c *Coalescer) Submit(ctx context.Context, b Batch) error {
	if b.size() == 0 {
		return nil
	}
	done := c.queue.add(b)
	c.wake()
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
		case <-c.ready:
			c.process(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// process reconciles what waits, without waiting for more.
func (c *Coalescer) process(ctx context.Context) {
	taken, batch := c.queue.take()
	c.wake() // another worker goes on with what is too much for one batch
	if batch.size() == 0 {
		return
	}
	c.queue.finish(taken, c.reconcile(ctx, batch))
	c.wake() // for what came of its orders meanwhile
	c.follow(ctx)
}

// wake makes a worker look whether something waits.
func (c *Coalescer) wake() {
	if c.queue.idle() {
		return
	}
	select {
	case c.ready <- struct{}{}:
	default: // it will already
	}
}
