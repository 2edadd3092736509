package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// maxRecords bounds what one partition hands over at a time.
const maxRecords = 500

// maxAhead is how many records of a partition lie in memory before fetching pauses.
// What had been fetched by then comes on top.
const maxAhead = maxRecords

// reader takes the records of one partition.
type reader struct {
	claim  sarama.ConsumerGroupClaim
	group  sarama.ConsumerGroup
	paused bool
	ahead  []*sarama.ConsumerMessage // what came during a pause
}

// take waits for one record and adds those already there: no lingering. It
// returns none when the partition is revoked or ctx ends.
func (r *reader) take(ctx context.Context, records []*sarama.ConsumerMessage) []*sarama.ConsumerMessage {
	if ctx.Err() != nil {
		return records
	}
	n := min(len(r.ahead), maxRecords)
	records = append(records, r.ahead[:n]...)
	r.ahead = slices.Delete(r.ahead, 0, n)
	if n == 0 {
		select {
		case record, ok := <-r.claim.Messages():
			if !ok {
				return records
			}
			records = append(records, record)
		case <-ctx.Done():
			return records
		}
	}
	for len(records) < maxRecords {
		select {
		case record, ok := <-r.claim.Messages():
			if !ok {
				return records
			}
			records = append(records, record)
		default:
			return records
		}
	}
	return records
}

// pause waits for so long, and returns false as soon as the partition is revoked
// or ctx ends. A revocation shows only at the end of the channel, so what is fetched
// is read ahead; once that is enough nothing more is fetched until resume: Kafka is
// the buffer. Whoever let the group wait for a partition that cannot go on would lose
// the whole session, and with it the partitions that he keeps.
func (r *reader) pause(ctx context.Context, d time.Duration) bool {
	over := time.After(d)
	for {
		select {
		case record, ok := <-r.claim.Messages():
			if !ok {
				return false
			}
			r.ahead = append(r.ahead, record)
			if len(r.ahead) >= maxAhead && !r.paused {
				r.group.Pause(r.partition())
				r.paused = true
			}
		case <-over:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// resume goes on fetching, where that was paused.
func (r *reader) resume() {
	if r.paused {
		r.group.Resume(r.partition())
		r.paused = false
	}
}

func (r *reader) partition() map[string][]int32 {
	return map[string][]int32{r.claim.Topic(): {r.claim.Partition()}}
}
