package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

const (
	// maxRecords bounds a batch.
	maxRecords = 500

	// maxReadAhead: fetching of a partition pauses at this many records in memory;
	// those already fetched are added.
	maxReadAhead = maxRecords

	// shutdownGrace: a running batch may finish its GETs and its transaction after
	// the session has ended, so that it is marked and not repeated.
	shutdownGrace = 3 * time.Second

	// The waits between attempts to save a batch.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// ConsumeClaim implements sarama.ConsumerGroupHandler for one partition: take a
// batch, submit it, mark it after the commit, one batch at a time. It returns when
// the partition is revoked (the channel is closed) or the session ends. It never
// returns an error, which would end the session of all partitions.
func (c *Consumer) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	ctx := session.Context()
	in := c.newReader(claim)
	defer in.close()
	c.observer.Claimed(claim.Partition(), in.lag)
	defer c.observer.Released(claim.Partition())
	if claim.InitialOffset() == sarama.OffsetOldest {
		if oldest, lost := c.checkOffsetLost(ctx, claim.Partition()); lost {
			// Commit the oldest offset at once: otherwise every start would report
			// the loss until the first record arrives.
			session.ResetOffset(claim.Topic(), claim.Partition(), oldest, "")
			session.MarkOffset(claim.Topic(), claim.Partition(), oldest, "")
		}
	}
	records := make([]*sarama.ConsumerMessage, 0, maxRecords)
	for {
		p := in.take(ctx, records[:0])
		if p == nil {
			return nil
		}
		c.denied.clear()
		c.readOutage.Recovered(ctx)
		in.next.Store(p.from)
		if !c.save(ctx, in, p) {
			return nil // nothing is marked: the next owner reads these records again
		}
		if n := p.size(); n > 0 {
			c.hasRead.Store(true)
			c.observer.Saved(n)
		}
		if claim.InitialOffset() == sarama.OffsetOldest {
			// The committed offset may be beyond the end of a truncated topic; then
			// sarama would ignore lower marks.
			session.ResetOffset(claim.Topic(), claim.Partition(), p.from, "")
		}
		session.MarkOffset(claim.Topic(), claim.Partition(), p.next, "")
		in.next.Store(p.next)
	}
}

// save submits what was read until it is saved; it returns false if ctx ends or
// the partition is revoked first. A failure is due to PostgreSQL or service-order,
// not to the records: the partition waits, and Kafka is the buffer. Only records
// that the database refuses become dead letters.
func (c *Consumer) save(ctx context.Context, in *reader, p *part) bool {
	refused := make(map[courier.OrderID]error)
	b := p.batch(refused)
	if p.size() == 0 {
		return true // offsets without records
	}
	submitCtx, cancel := withGrace(ctx, shutdownGrace)
	defer cancel()
	partition := in.claim.Partition()
	defer c.stalled.ended(partition)
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := c.submit(submitCtx, b)
		if err == nil {
			in.resume()
			if c.stalled.ended(partition) {
				c.submitOutage.Recovered(ctx)
			}
			c.logDeadLetters(ctx, b.DeadLetters)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if refusal, ok := errors.AsType[*orderevent.RefusedError](err); ok {
			maps.Copy(refused, refusal.Orders)
			b = p.batch(refused)
			continue
		}
		if errors.Is(err, orderevent.ErrPaused) { // the breaker has logged that
			c.stalled.ended(partition)
		} else {
			c.stalled.failed(partition, err)
			c.submitOutage.Failed(ctx, err)
		}
		if !in.pause(ctx, wait) {
			return false
		}
	}
}

// submit turns a panic into an error: in sarama's goroutine it would end the process.
func (c *Consumer) submit(ctx context.Context, b orderevent.Batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.ErrorContext(ctx, "panic recovered", slog.String("component", "consumer"), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			c.observer.Panicked()
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return c.sink.Submit(ctx, b)
}

// withGrace returns a context that ends grace after ctx.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	delayed, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return delayed, func() { stop(); cancel() }
}

// logDeadLetters logs the dead letters of a batch once, with the first of them.
func (c *Consumer) logDeadLetters(ctx context.Context, deadLetters []orderevent.DeadLetter) {
	if len(deadLetters) == 0 {
		return
	}
	first := deadLetters[0]
	c.log.WarnContext(ctx, "dead letters stored", slog.Int("count", len(deadLetters)),
		slog.Int("partition", int(first.Partition)), slog.Int64("offset", first.Offset),
		slog.String("reason", first.Reason), slog.String("detail", first.Detail))
}
