package orderevent

import (
	"context"
	"sync"

	"service-courier/internal/courier"
)

// maxBatch ends a batch: once it has this many orders, only the rest of a submission
// is added. Larger batches were measured to be no faster.
const maxBatch = 1000

// Batcher collects the submitted hints into batches: a batch of one when idle, larger
// ones under load, since hints that arrive while the workers are busy form the next
// batch. Events about one order from different partitions share one fetch.
type Batcher struct {
	queue     *queue
	ready     chan struct{} // the queue may have work
	reconcile func(ctx context.Context, b Batch, starting func(courier.OrderID)) error
	match     func(context.Context)
	recovered func(ctx context.Context, panicValue any, orders ...observation) error
	workers   int
}

// NewBatcher returns a Batcher whose workers hand batches to reconciler, one each at a
// time. After each batch a worker matches, if that was triggered.
func NewBatcher(reconciler *Reconciler, matcher *Matcher, workers int) *Batcher {
	return &Batcher{
		queue:     newQueue(reconciler.observer.Coalesced),
		ready:     make(chan struct{}, 1),
		reconcile: reconciler.Reconcile,
		match:     matcher.MatchIfTriggered,
		recovered: reconciler.recovered,
		workers:   workers,
	}
}

// Submit waits until the batch is saved in committed transactions. A RefusedError
// names the orders that can never be saved; the rest of the batch is saved. After any
// other error nothing is known: submit the batch again. When ctx ends first, the batch
// may still be saved, which does no harm.
func (b *Batcher) Submit(ctx context.Context, batch Batch) error {
	if batch.size() == 0 {
		return nil
	}
	result := b.queue.add(batch)
	b.signal()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run processes batches until ctx ends and the workers have finished theirs.
func (b *Batcher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for range b.workers {
		wg.Go(func() {
			for {
				select {
				case <-b.ready:
					b.processBatch(ctx)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	wg.Wait()
}

// processBatch processes what is queued now, and then matches.
func (b *Batcher) processBatch(ctx context.Context) {
	w := b.queue.get()
	b.signal() // for another worker, when more than one batch is queued
	if w.batch.size() == 0 {
		return
	}
	err := b.contain(ctx, func() error { return b.reconcile(ctx, w.batch, b.queue.fetchStarting) })
	b.queue.done(w, err)
	b.signal() // for requeued items
	_ = b.contain(ctx, func() error { b.match(ctx); return nil })
}

// contain returns a panic of work as an error, so that the batch is submitted again
// and the worker lives on. (Reconcile recovers the panics that one order causes.)
func (b *Batcher) contain(ctx context.Context, work func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = b.recovered(ctx, p)
		}
	}()
	return work()
}

// signal triggers one worker when something is queued.
func (b *Batcher) signal() {
	if b.queue.empty() {
		return
	}
	select {
	case b.ready <- struct{}{}:
	default: // signalled already
	}
}
