package kafka

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

const (
	// idleBeforeFetch is how long a partition that has not been read to its end, or whose
	// fetches fail, gives no records before the fetcher reads it.
	idleBeforeFetch = 250 * time.Millisecond
	// maxIdleBeforeFetch is the interval to which it grows while the fetcher finds nothing.
	maxIdleBeforeFetch = 8 * time.Second
	// isolatedPoll is the interval of the fetches of an isolated partition.
	isolatedPoll = 100 * time.Millisecond
)

// part is what was read next from a partition: records, a batch that cannot be decoded,
// or only offsets that have no record.
type part struct {
	from, next int64 // its first offset, and the one after it
	records    []*sarama.ConsumerMessage
	skipped    *orderevent.DeadLetter
}

// size is the number of records, with a skipped batch as one.
func (p *part) size() int {
	if p.skipped != nil {
		return 1
	}
	return len(p.records)
}

func (p *part) batch(refused map[courier.OrderID]error) orderevent.Batch {
	b := decode(p.records, refused)
	if p.skipped != nil {
		b.DeadLetters = append(b.DeadLetters, *p.skipped)
	}
	return b
}

// reader reads one partition: from sarama's claim, until a batch cannot be decoded. From
// then on the partition is isolated, so that the other partitions of its broker go on:
// sarama's fetches leave it out until the claim ends, and the fetcher reads it.
type reader struct {
	claim sarama.ConsumerGroupClaim
	group sarama.ConsumerGroup
	log   *slog.Logger

	next    atomic.Int64 // offset of the next record to save; negative if unknown
	end     atomic.Int64 // of the partition, as the fetcher saw it
	failing *atomic.Bool // sarama could not read the partition

	paused   bool
	ahead    []*sarama.ConsumerMessage // already read
	aheadEnd int64                     // the offset after ahead, if isolated

	fetcher  *fetcher
	isolated bool
	// onError is called when the fetcher fails.
	onError func(context.Context, error)
}

func (c *Consumer) newReader(claim sarama.ConsumerGroupClaim) *reader {
	r := &reader{
		claim: claim, group: c.group, log: c.log, failing: c.failing(claim.Partition()),
		fetcher: &fetcher{cfg: c.cfg, partition: claim.Partition()}, onError: c.handleClientError,
	}
	r.next.Store(claim.InitialOffset())
	r.failing.Store(false)
	return r
}

// close lets sarama fetch the partition again: otherwise the next claim of a paused
// partition would begin paused.
func (r *reader) close() {
	r.isolated = false
	r.resume()
	r.fetcher.close()
}

// lag is the number of records not yet saved, if known.
func (r *reader) lag() (records int64, known bool) {
	n := r.next.Load()
	return max(0, max(r.end.Load(), r.claim.HighWaterMarkOffset())-n), n >= 0
}

// take waits for the next part; records is reused for it. It returns nil when the
// partition is revoked or ctx ends.
func (r *reader) take(ctx context.Context, records []*sarama.ConsumerMessage) *part {
	if ctx.Err() != nil {
		return nil
	}
	if len(r.ahead) > 0 {
		return r.takeAhead(records)
	}
	if r.isolated {
		return r.takeIsolated(ctx, records)
	}
	for idle := idleBeforeFetch; ; idle = min(2*idle, maxIdleBeforeFetch) {
		select {
		case record, ok := <-r.claim.Messages():
			if !ok {
				return nil
			}
			return r.fill(append(records, record))
		case <-ctx.Done():
			return nil
		case <-time.After(idle):
			if p := r.fetchApart(ctx, records); p != nil {
				return p
			}
		}
	}
}

// takeAhead takes what was already read.
func (r *reader) takeAhead(records []*sarama.ConsumerMessage) *part {
	n := min(len(r.ahead), maxRecords)
	records = append(records, r.ahead[:n]...)
	r.ahead = slices.Delete(r.ahead, 0, n)
	if !r.isolated {
		return r.fill(records)
	}
	p := partOf(records)
	if len(r.ahead) == 0 {
		p.next = max(p.next, r.aheadEnd)
	}
	return p
}

// fill adds the records that sarama has already fetched.
func (r *reader) fill(records []*sarama.ConsumerMessage) *part {
	for len(records) < maxRecords {
		select {
		case record, ok := <-r.claim.Messages():
			if !ok {
				return partOf(records)
			}
			records = append(records, record)
		default:
			return partOf(records)
		}
	}
	return partOf(records)
}

func partOf(records []*sarama.ConsumerMessage) *part {
	return &part{from: records[0].Offset, next: records[len(records)-1].Offset + 1, records: records}
}

// fetchApart finds out why sarama returns nothing: there may be offsets without
// records, such as the control records of transactions, or a batch that it cannot
// decode. It returns nil if there is nothing to do.
func (r *reader) fetchApart(ctx context.Context, records []*sarama.ConsumerMessage) *part {
	next := r.next.Load()
	failing := r.failing.Swap(false)
	if !failing && r.claim.HighWaterMarkOffset() <= max(next, 0) {
		return nil
	}
	got, err := r.fetcher.fetch(ctx, next)
	if err != nil {
		r.failing.Store(failing)
		r.onError(ctx, err)
		return nil
	}
	if got.skipped == nil && !r.fetcher.single {
		if len(got.records) > 0 || got.next == got.from && next >= 0 {
			return nil // sarama will read them
		}
		// Else only offsets, or a partition whose records were all removed before the group
		// began: its end is committed, so that it is not taken for a loss later.
		return r.fetched(ctx, got, records)
	}
	r.isolated = true
	r.suspend() // else sarama fetches the same batch again and again
	return r.fetched(ctx, got, records)
}

// takeIsolated is take for an isolated partition.
func (r *reader) takeIsolated(ctx context.Context, records []*sarama.ConsumerMessage) *part {
	for wait := time.Duration(0); r.pause(ctx, wait); wait = isolatedPoll {
		got, err := r.fetcher.fetch(ctx, r.next.Load())
		switch {
		case errors.Is(err, sarama.ErrOffsetOutOfRange):
			return nil // the next claim starts at the oldest record, as without isolation
		case err != nil:
			r.onError(ctx, err)
		case got.next > got.from:
			return r.fetched(ctx, got, records)
		}
	}
	return nil
}

// fetched returns the first part of what the fetcher read.
func (r *reader) fetched(ctx context.Context, got fetched, records []*sarama.ConsumerMessage) *part {
	r.end.Store(got.end)
	if got.skipped != nil {
		r.log.ErrorContext(ctx, "batch cannot be decoded, skipped",
			slog.Int("partition", int(r.claim.Partition())), slog.Int64("offset", got.skipped.Offset),
			slog.Int("records", int(got.lost)), slog.String("error", got.skipped.Detail))
	}
	if len(got.records) == 0 {
		return &part{from: got.from, next: got.next, skipped: got.skipped}
	}
	r.ahead, r.aheadEnd = got.records, got.next
	return r.takeAhead(records)
}

// pause waits for d, and returns false as soon as the partition is revoked or ctx
// ends. A revocation shows only at the end of the channel, so pause reads ahead;
// at maxReadAhead it stops fetching until resume. A member that did not notice
// the revocation would delay the rebalance and lose all its partitions.
func (r *reader) pause(ctx context.Context, d time.Duration) bool {
	timer := time.After(d)
	for {
		select {
		case record, ok := <-r.claim.Messages():
			if !ok {
				return false
			}
			if r.isolated {
				continue // the fetcher reads it
			}
			r.ahead = append(r.ahead, record)
			if len(r.ahead) >= maxReadAhead {
				r.suspend()
			}
		case <-timer:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// suspend makes sarama fetch the other partitions only.
func (r *reader) suspend() {
	if !r.paused {
		r.group.Pause(r.partition())
		r.paused = true
	}
}

// resume fetches again after a pause.
func (r *reader) resume() {
	if r.paused && !r.isolated {
		r.group.Resume(r.partition())
		r.paused = false
	}
}

func (r *reader) partition() map[string][]int32 {
	return map[string][]int32{r.claim.Topic(): {r.claim.Partition()}}
}
