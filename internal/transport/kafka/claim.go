package kafka

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// ConsumeClaim is one partition's loop: take what is there, hand it over, mark
// it after the COMMIT. There is one batch of a partition at a time, so marks
// never overtake. It returns when the partition is revoked, which shows as the
// closed channel, or the session ends; an error would end the session of all
// partitions and is never returned.
func (c *Consumer) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	ctx := session.Context()
	var next atomic.Int64 // the record to be saved next; negative until the first, where none is committed
	next.Store(claim.InitialOffset())
	c.observer.Claimed(claim.Partition(), func() (records int64, known bool) {
		n := next.Load()
		return max(0, claim.HighWaterMarkOffset()-n), n >= 0
	})
	defer c.observer.Forget(claim.Partition())
	if claim.InitialOffset() == sarama.OffsetOldest {
		if oldest, lost := c.lostPlace(ctx, claim.Partition()); lost {
			// Nothing is before it, so it is where the next start goes on: that this
			// partition's place was lost is told once, not at every start until a record comes.
			session.ResetOffset(claim.Topic(), claim.Partition(), oldest, "")
			session.MarkOffset(claim.Topic(), claim.Partition(), oldest, "")
		}
	}
	in := reader{claim: claim, group: c.group}
	defer in.resume() // sarama would begin the next claim of a paused partition paused, and that one would not know
	records := make([]*sarama.ConsumerMessage, 0, maxRecords)
	for {
		records = in.take(ctx, records[:0])
		if len(records) == 0 {
			return nil
		}
		c.denied.over()
		c.read.Works(ctx)
		next.Store(records[0].Offset)
		if !c.handOver(ctx, &in, records) {
			return nil // nothing is marked: the next owner reads these again
		}
		c.worked.Store(true)
		c.observer.Saved(len(records))
		if claim.InitialOffset() == sarama.OffsetOldest {
			// What was committed may lie beyond the end of a topic that was truncated: marks below it would be ignored.
			session.ResetOffset(claim.Topic(), claim.Partition(), records[0].Offset, "")
		}
		last := records[len(records)-1]
		session.MarkOffset(last.Topic, last.Partition, last.Offset+1, "")
		next.Store(last.Offset + 1)
	}
}

// shutdownGrace is how long a batch in hand may go on when the session ends:
// time for its GETs and its transaction, so that it is marked and not repeated.
const shutdownGrace = 3 * time.Second

// outliving returns a context that ends grace after ctx does.
func outliving(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() { stop(); cancel() }
}

// The waits between tries of a batch that could not be saved.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// handOver submits the records until it is saved and returns false when ctx ends
// or the partition is revoked first. What cannot be saved is PostgreSQL's or
// service-order's doing, never the records': they wait here, and the partition
// with them; Kafka is the buffer. Only records that the database will never take
// become dead letters.
func (c *Consumer) handOver(ctx context.Context, in *reader, records []*sarama.ConsumerMessage) bool {
	b, bad := decode(records, nil), make(map[courier.OrderID]error)
	inHand, done := outliving(ctx, shutdownGrace)
	defer done()
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := c.sink.Submit(inHand, b)
		if err == nil {
			in.resume()
			c.saving.Works(ctx)
			c.tellLetters(ctx, b.Letters)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if refused, ok := errors.AsType[*orderevent.RefusedError](err); ok {
			maps.Copy(bad, refused.Orders)
			b = decode(records, bad)
			continue
		}
		if !errors.Is(err, orderevent.ErrPaused) { // which the breaker has told
			c.saving.Failed(ctx, err)
		}
		if !in.pause(ctx, wait) {
			return false
		}
	}
}

// tellLetters says once a batch that it had records which can never be processed,
// and of the first of them why; slog quotes what came from outside.
func (c *Consumer) tellLetters(ctx context.Context, letters []orderevent.DeadLetter) {
	if len(letters) == 0 {
		return
	}
	first := letters[0]
	c.log.WarnContext(ctx, "records can never be processed; they are dead letters", slog.Int("letters", len(letters)),
		slog.Int("partition", int(first.Partition)), slog.Int64("offset", first.Offset),
		slog.String("reason", first.Reason), slog.String("detail", first.Detail))
}
