package kafka

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// suite tests the consumer on any broker.
func suite(t *testing.T, start func(*testing.T) broker) {
	t.Helper()
	for name, test := range map[string]func(fixture){
		"new group starts at the oldest record": newGroupStartsAtOldest,
		"unsaved records are not marked":        unsavedRecordsAreNotMarked,
		"only saved records are counted":        onlySavedRecordsAreCounted,
		"lag grows while nothing is saved":      lagGrowsWhileNothingIsSaved,
		"dead letters":                          deadLetters,
		"topic is created later":                topicIsCreatedLater,
		"members join and leave":                membersJoinAndLeave,
		"running batch is finished at shutdown": runningBatchIsFinished,
		"partitions are revoked in an outage":   revokedInOutage,
		"paused partitions come back":           pausedPartitionsComeBack,
		"stops while joining":                   stopsWhileJoining,
		"undecodable batches are skipped":       undecodableBatchesAreSkipped,
		"many undecodable batches":              manyUndecodableBatches,
		"isolated partition loses records":      isolatedPartitionLosesRecords,
		"offsets without records":               offsetsWithoutRecords,
		"emptied partition":                     emptiedPartition,
		"offsets of another batch":              offsetsOfAnotherBatch,
		"topic retention":                       topicRetention,
		"records are read by a shared client":   readsRecords,
		"events are read without a group":       readsEvents,
	} {
		t.Run(name, func(t *testing.T) {
			id := strings.ReplaceAll(name, " ", "-")
			b := fixture{t, start(t), Config{Topic: topic + "." + id, GroupID: id}}
			b.cfg.Brokers = []string{b.addr}
			if name != "topic is created later" {
				b.createTopic(t, b.cfg.Topic)
			}
			test(b)
		})
	}
}

// newGroupStartsAtOldest fails with sarama's default, the newest, which loses the
// records sent before the group first joined.
func newGroupStartsAtOldest(b fixture) {
	b.produce(events(0, 50)...)
	var s sink
	stop := b.consume(&s)
	b.eventually("50 orders are submitted", func() bool { return s.orders() == 50 })
	stop()
	if got := b.committed(); got != 50 {
		b.Errorf("committed %d records, want 50", got)
	}
	var next sink
	b.produce(eventOf(50))
	b.consume(&next)
	b.eventually("the new order is submitted", func() bool { return next.orders() > 0 })
	if next.orders() != 1 {
		b.Errorf("the next member got %d orders, want only the new one", next.orders())
	}
}

// unsavedRecordsAreNotMarked fails if records are marked before Submit has returned nil,
// which it does after the COMMIT.
func unsavedRecordsAreNotMarked(b fixture) {
	b.produce(events(0, 30)...)
	s := sink{failing: true}
	stop := b.consume(&s)
	b.eventually("each partition was tried", func() bool { return s.attempted() > 2*partitions })
	stop()
	if got := b.committed(); got != 0 {
		b.Fatalf("committed %d records that were not saved", got)
	}
	s.recover()
	stop = b.consume(&s)
	b.eventually("all orders are submitted", func() bool { return s.orders() == 30 })
	stop()
	if got := b.committed(); got != 30 {
		b.Errorf("committed %d records, want 30", got)
	}
}

// onlySavedRecordsAreCounted fails if records are counted before Submit has returned
// nil: retries are no progress.
func onlySavedRecordsAreCounted(b fixture) {
	b.produce(append([]string{"poison"}, events(0, 29)...)...)
	s, o := sink{failing: true}, recorder{}
	b.consumeWith(&s, &o, slog.New(slog.DiscardHandler))
	b.eventually("each partition was tried", func() bool { return s.attempted() > 2*partitions })
	if got := o.saved.Load(); got != 0 {
		b.Errorf("counted %d records that were not saved", got)
	}
	s.recover()
	b.eventually("all are counted", func() bool { return o.saved.Load() == 30 })
}

// lagGrowsWhileNothingIsSaved: records that arrive during an outage are lag, and so
// are those that a new member has not read yet. It fails if the lag is only updated
// with each batch.
func lagGrowsWhileNothingIsSaved(b fixture) {
	var o recorder
	lags := func(want int64) func() bool {
		return func() bool { sum, of := o.lag(); return sum == want && of == partitions }
	}
	b.produce(events(0, 30)...)
	s := sink{failing: true}
	stop := b.consumeWith(&s, &o, slog.New(slog.DiscardHandler))
	b.eventually("existing records are lag", lags(30))
	b.produce(events(30, 60)...)
	b.eventually("new records are lag", lags(60))
	s.recover()
	b.eventually("all is saved", lags(0))
	stop()
	if _, of := o.lag(); of != 0 {
		b.Errorf("the lag of %d partitions is reported without a member", of)
	}
	b.consumeWith(&s, &o, slog.New(slog.DiscardHandler))
	b.eventually("no lag without records to read", lags(0))
}

// deadLetters: a record that can never be processed becomes a dead letter, byte for
// byte, and the next records are processed.
func deadLetters(b fixture) {
	poison := []string{
		"", "null", "[]", "{", `{"order_id":7}`, `{"status":"created"}`, `{"order_id":"../x"}`, "\xff\x00",
		`{"order_id":"a\u0000"}`, strings.Repeat("[", 100_000),
	}
	b.produce(append(poison, events(0, 20)...)...)
	var s sink
	stop := b.consume(&s)
	b.eventually("the valid ones are submitted", func() bool { return s.orders() == 20 })
	stop()
	if got := b.committed(); got != int64(len(poison)+20) {
		b.Errorf("committed %d records, want %d", got, len(poison)+20)
	}
	got := make(map[string]orderevent.DeadLetter)
	for _, l := range s.letters {
		got[string(l.Payload)] = l
	}
	for _, p := range poison {
		l, ok := got[p]
		if !ok {
			b.Errorf("%.40q has no dead letter", p)
			continue
		}
		if l.Topic != b.cfg.Topic || l.Reason == "" || l.Detail == "" || l.ProducedAt.IsZero() || len(l.Headers) != 1 {
			b.Errorf("%.40q: incomplete dead letter %+v", p, l)
		}
	}
}

func topicIsCreatedLater(b fixture) {
	var s sink
	b.consume(&s)
	b.createTopic(b.T, b.cfg.Topic)
	b.produce(events(0, 10)...)
	b.eventually("the orders are submitted", func() bool { return s.orders() == 10 })
}

// membersJoinAndLeave: partitions move between three members while events arrive;
// each event is submitted by one of them.
func membersJoinAndLeave(b fixture) {
	var s sink
	stopFirst := b.consume(&s)
	b.produce(events(0, 60)...)
	stopSecond := b.consume(&s)
	b.produce(events(60, 120)...)
	b.eventually("120 orders with two members", func() bool { return s.orders() == 120 })
	stopFirst()
	b.consume(&s)
	b.produce(events(120, 180)...)
	b.eventually("180 orders after one left", func() bool { return s.orders() == 180 })
	stopSecond()
	b.produce(events(180, 240)...)
	b.eventually("240 orders in the end", func() bool { return s.orders() == 240 })
}

// slowSink holds each batch until it is released.
type slowSink struct {
	sink
	entered chan struct{}
	release chan struct{}
}

func (s *slowSink) Submit(ctx context.Context, b orderevent.Batch) error {
	s.entered <- struct{}{}
	select {
	case <-s.release:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.sink.Submit(ctx, b)
}

// runningBatchIsFinished: a member that stops while a batch is being saved waits for
// it, marks it and commits.
func runningBatchIsFinished(b fixture) {
	b.produce(eventOf(0))
	s := slowSink{entered: make(chan struct{}), release: make(chan struct{})}
	ctx, cancel := context.WithCancel(b.Context())
	wait := b.consumeUntil(ctx, &s)
	<-s.entered
	cancel()
	close(s.release)
	wait()
	if got := b.committed(); got != 1 {
		b.Errorf("committed %d records, want the one of the running batch", got)
	}
}

// revokedInOutage: a member that cannot save releases the partitions that move to
// another member, and keeps the others. If pause did not notice the end of the
// channel, the rebalance would time out and the member lose all partitions.
func revokedInOutage(b fixture) {
	b.produce(events(0, 3_000)...)
	first, second := sink{failing: true}, sink{failing: true}
	var log lockedBuffer
	b.consumeWith(&first, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
	b.eventually("the first tries all partitions", func() bool { return first.attempted() > 2*partitions })
	b.consume(&second)
	b.eventually("the second tries some of them", func() bool { return second.attempted() > 0 })
	if got := log.String(); strings.Count(got, "consumer group joined") != 1 || strings.Contains(got, `component="kafka consumer group"`) {
		b.Errorf("the first member left the group:\n%s", got)
	}
	first.recover()
	second.recover()
	b.eventually("all orders are submitted", func() bool { return first.orders()+second.orders() >= 3_000 })
	b.eventually("all is committed", func() bool { return b.committed() == 3_000 })
}

// pausedPartitionsComeBack: in an outage a member has read ahead and paused; another
// member takes half of the partitions and leaves. The first must then read all of
// them: sarama keeps a pause beyond the end of the claim, so without the resume at the
// end half of the events are never read.
func pausedPartitionsComeBack(b fixture) {
	const all = partitions * 6 * maxReadAhead
	b.produce(events(0, all)...)
	first, second := sink{failing: true}, sink{failing: true}
	var claims recorder
	b.consumeWith(&first, &claims, slog.New(slog.DiscardHandler))
	// The fifth attempt comes more than a second after the first; by then the partition is paused.
	b.eventually("each partition was tried for a while", func() bool { return first.attempted() > 5*partitions })
	stop := b.consume(&second)
	b.eventually("the second has half of them", func() bool { return claims.held() == partitions/2 })
	stop()
	b.eventually("the first has all of them again", func() bool { return claims.held() == partitions })
	first.recover()
	b.eventually("all orders are submitted", func() bool { return first.orders() == all })
	b.eventually("all is committed", func() bool { return b.committed() == all })
}

// stopsWhileJoining: a member that stops during a rebalance does not wait for the
// other members. Without connectionContext it takes over five seconds.
func stopsWhileJoining(b fixture) {
	b.joinWithoutRejoining()
	ctx, cancel := context.WithCancel(b.Context())
	wait := b.consumeUntil(ctx, &sink{})
	b.eventually("the join waits for the other member", func() bool { return b.groupState() == "PreparingRebalance" })
	cancel()
	wait()
}

// sinkFunc is a function as a Sink.
type sinkFunc func(orderevent.Batch) error

func (f sinkFunc) Submit(_ context.Context, b orderevent.Batch) error { return f(b) }

// feed is the claim of a partition and its group, which records pauses.
type feed struct {
	sarama.ConsumerGroup
	sarama.ConsumerGroupClaim
	records chan *sarama.ConsumerMessage
	pauses  int
	paused  bool
}

// newFeed returns a feed with fetched records.
func newFeed(values ...string) *feed {
	f := &feed{records: make(chan *sarama.ConsumerMessage, len(values))}
	for _, v := range values {
		f.records <- record(v)[0]
	}
	return f
}

func (f *feed) Messages() <-chan *sarama.ConsumerMessage { return f.records }
func (f *feed) Topic() string                            { return topic }
func (f *feed) Partition() int32                         { return 3 }
func (f *feed) InitialOffset() int64                     { return 0 }
func (f *feed) Pause(map[string][]int32)                 { f.pauses, f.paused = f.pauses+1, true }
func (f *feed) Resume(map[string][]int32)                { f.paused = false }

// save submits one batch to s until it is saved.
func (f *feed) save(ctx context.Context, s Sink) (saved bool) {
	c := NewConsumer(Config{}, s, unobserved{}, unobserved{}, slog.New(slog.DiscardHandler))
	in := c.newReader(f)
	in.group = f
	return c.save(ctx, in, in.take(ctx, nil))
}

// TestFetchingPausesInOutage: reading ahead is bounded, and fetching resumes once the
// batch is saved. It fails without Pause, with a Pause per record, and without the
// resume in save.
func TestFetchingPausesInOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(events(0, maxRecords+2*maxReadAhead)...)
		attempts := 0
		saved := f.save(t.Context(), sinkFunc(func(orderevent.Batch) error {
			if attempts++; attempts == 1 {
				return errors.New("the database is away")
			}
			if !f.paused {
				t.Error("fetching continues while nothing can be saved")
			}
			return nil
		}))
		if !saved || f.pauses != 1 || f.paused {
			t.Errorf("saved %t, %d pauses, paused %t; want saved and resumed after one pause", saved, f.pauses, f.paused)
		}
	})
}

// TestRefusedOrdersAreNotResubmitted fails if only the last refusal is kept: two
// orders would be refused in turn for ever.
func TestRefusedOrdersAreNotResubmitted(t *testing.T) {
	attempts := 0
	saved := newFeed(events(0, 2)...).save(t.Context(), sinkFunc(func(b orderevent.Batch) error {
		if attempts++; len(b.Hints) == 0 || attempts > 3 {
			return nil
		}
		return &orderevent.RefusedError{Orders: map[courier.OrderID]error{b.Hints[0].OrderID: errors.New("violates a constraint")}}
	}))
	if !saved || attempts != 3 {
		t.Errorf("saved %t after %d attempts, want 3: each of the two is refused once", saved, attempts)
	}
}

// TestPanicIsRetried: a panic of the use case is logged, counted and retried, and does not
// end the process.
func TestPanicIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		var observer recorder
		var log strings.Builder
		c := NewConsumer(Config{}, sinkFunc(func(orderevent.Batch) error {
			if attempts++; attempts == 1 {
				panic("broken")
			}
			return nil
		}), &observer, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
		f := newFeed(events(0, 1)...)
		in := c.newReader(f)
		if !c.save(t.Context(), in, in.take(t.Context(), nil)) || attempts != 2 || observer.panics.Load() != 1 {
			t.Errorf("%d attempts, %d panics counted; want a second attempt after the panic", attempts, observer.panics.Load())
		}
		if !strings.Contains(log.String(), "panic recovered") || !strings.Contains(log.String(), "consumer_test.go") {
			t.Errorf("no stack in the log: %s", log.String())
		}
	})
}

// TestNotJoinedAfterTheSession fails if Cleanup leaves the member joined: a consumer
// without Kafka would be ready.
func TestNotJoinedAfterTheSession(t *testing.T) {
	c := NewConsumer(Config{}, nil, unobserved{}, unobserved{}, slog.New(slog.DiscardHandler))
	c.joined.Store(true)
	if err := c.Cleanup(nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Status(); !errors.Is(err, errNotJoined) {
		t.Errorf("Status() = %v, want %v", err, errNotJoined)
	}
}

// TestSaramaDefaultsAreReplaced checks the defaults that the suite does not notice: a
// commit waits for the long poll, a mistyped topic is created, and a rebalance revokes
// every partition.
func TestSaramaDefaultsAreReplaced(t *testing.T) {
	c := saramaConfig()
	if got := c.Consumer.MaxWaitTime; got > 100*time.Millisecond {
		t.Errorf("a commit waits for %v", got)
	}
	if c.Metadata.AllowAutoTopicCreation {
		t.Error("it creates missing topics")
	}
	if s := c.Consumer.Group.Rebalance.GroupStrategies; len(s) != 1 || s[0].Name() != sarama.CooperativeStickyBalanceStrategyName {
		t.Errorf("strategies %v, want only cooperative-sticky", s)
	}
}
