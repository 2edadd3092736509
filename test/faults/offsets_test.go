package faults

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/courier"
)

// ends are where the partitions end.
func (w *world) ends() map[int32]int64 {
	ends := make(map[int32]int64)
	for _, p := range w.kafka.Cluster().PartitionInfos(topic) {
		ends[p.Partition] = p.HighWatermark
	}
	return ends
}

// published waits until the topic has had n events: they are sent in the background.
func (w *world) published(n int64) {
	w.Helper()
	w.eventually("all is published", func() bool {
		var sum int64
		for _, end := range w.ends() {
			sum += end
		}
		return sum >= n
	})
}

// committed are the offsets that the group goes on from.
func (w *world) committed() map[int32]int64 {
	offsets := make(map[int32]int64)
	if info := w.kafka.Cluster().GroupInfo(groupID); info != nil {
		for p, c := range info.Commits[topic] {
			offsets[p] = c.Offset
		}
	}
	return offsets
}

// allCommitted waits until the group's offsets are where the partitions end.
func (w *world) allCommitted() {
	w.Helper()
	w.eventually("all that was read is committed", func() bool {
		committed := w.committed()
		for p, end := range w.ends() {
			if committed[p] != end && end > 0 { // chance leaves a partition empty now and then: nothing is read from it
				return false
			}
		}
		return true
	})
}

// TestRecordsExpireBeforeTheyAreRead: the topic's oldest records go while
// nobody reads. Those that are left must be read from the oldest on, none
// skipped, and what went with the others comes back by the sweep.
func TestRecordsExpireBeforeTheyAreRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 40)
	w.front.unlisted.Store(true)
	stop := w.serve()
	before := w.create(10)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 10 })
	w.allCommitted()
	stop()
	w.setStatus("completed", before[:5]...)
	w.create(12)
	w.published(10 + 5 + 12)
	for p, end := range w.ends() {
		w.must(w.kafka.Cluster().DeleteRecords(topic, p, end))
	}
	w.create(12) // behind the gap

	sweeps := w.front.lists.Load()
	stop = w.serve()
	w.eventually("what is left was read", func() bool { return w.inState(courier.StateAssigned) == 10+12 })
	w.lostItsPlace("removed", 5+12, sweeps)
	stop()
	w.front.unlisted.Store(false)
	w.serve(sweepEvery(time.Second))
	w.agrees()
	w.nothingTwice()
}

// TestOffsetsExpire: the group's offsets are gone, as after a week without a
// member. Everything is read again, from the oldest, and done once. Nothing was
// removed, and it is told all the same: without lostPlace nobody would know (tried).
func TestOffsetsExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 30)
	w.front.unlisted.Store(true)
	stop := w.serve()
	before := w.create(10)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 10 })
	w.allCommitted()
	stop()
	w.setStatus("completed", before[:5]...)
	w.delete(before[5:8]...)
	w.create(10)
	w.expel()
	gone := kmsg.NewPtrDeleteGroupsRequest()
	gone.Groups = []string{groupID}
	w.ask(gone)
	if left := w.committed(); len(left) != 0 {
		t.Fatalf("offsets are left: %v", left)
	}
	sweeps := w.front.lists.Load()
	w.serve()
	w.lostItsPlace("expired", 0, sweeps)
	w.agrees()
	w.nothingTwice()
}

// TestTopicIsTruncated: the topic ends before the offsets that the group has
// committed, as after an unclean election. It is read from the oldest, and what
// is read from now on is committed again: else the next start would begin at the
// old offset and skip what was published in between.
func TestTopicIsTruncated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 30)
	w.front.unlisted.Store(true)
	stop := w.serve()
	w.create(10)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 10 })
	stop()
	w.expel()
	w.commitBeyondTheEnd(100)
	w.create(10)
	sweeps := w.front.lists.Load()
	w.serve()
	w.lostItsPlace("truncated", 0, sweeps)
	w.agrees()
	w.nothingTwice()
	w.allCommitted()
}

// commitBeyondTheEnd commits offsets that the topic does not have.
func (w *world) commitBeyondTheEnd(by int64) {
	w.Helper()
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = groupID, -1
	of := kmsg.NewOffsetCommitRequestTopic()
	of.Topic = topic
	for p, end := range w.ends() {
		at := kmsg.NewOffsetCommitRequestTopicPartition()
		at.Partition, at.Offset = p, end+by
		of.Partitions = append(of.Partitions, at)
	}
	commit.Topics = append(commit.Topics, of)
	w.ask(commit)
	for p, end := range w.ends() {
		if got := w.committed()[p]; got != end+by {
			w.Fatalf("partition %d: committed %d, want %d", p, got, end+by)
		}
	}
}

// TestNewGroupIsNoAlarm: a service that never worked before has no place to lose,
// nor has one that is started anew while some partitions never had a record.
func TestNewGroupIsNoAlarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.create(2)
	stop := w.serve()
	w.eventually("both are assigned", func() bool { return w.inState(courier.StateAssigned) == 2 })
	w.allCommitted()
	stop()
	w.serve()
	w.create(3)
	w.agrees()
	if n, m := w.logs.times("place in the topic was lost"), w.metric("courier_offset_resets_total", ""); n != 0 || m != 0 {
		t.Errorf("an alarm was given %d times in the log and %v by the metric, of nothing", n, m)
	}
}

// TestOffsetIsOutOfRangeWhileReading: the broker says so in the midst of it. The
// consumer must get over it by itself.
func TestOffsetIsOutOfRangeWhileReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 30)
	w.front.unlisted.Store(true)
	w.serve()
	w.create(10)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 10 })
	fault := w.kafka.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: kerr.OffsetOutOfRange, Count: 3})
	w.must(fault.Wait(t.Context(), 1))
	w.create(10)
	w.agrees()
	w.nothingTwice()
	w.allCommitted()
}
