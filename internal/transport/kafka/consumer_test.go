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

// suite is everything promised of the consumer, on whatever broker.
func suite(t *testing.T, start func(*testing.T) broker) {
	t.Helper()
	for name, test := range map[string]func(bench){
		"new group begins at the oldest": newGroupBeginsAtTheOldest,
		"nothing is marked unsaved":      nothingIsMarkedUnsaved,
		"only what is saved is counted":  onlyWhatIsSavedIsCounted,
		"lag grows unsaved":              lagGrowsUnsaved,
		"poison is passed on":            poisonIsPassedOn,
		"topic comes later":              topicComesLater,
		"members come and go":            membersComeAndGo,
		"batch in hand is finished":      batchInHandIsFinished,
		"given up in an outage":          givenUpInAnOutage,
		"paused and given back":          pausedAndGivenBack,
		"stops while joining":            stopsWhileJoining,
		"stuck is told":                  stuckIsTold,
		"keeps events":                   keepsEvents,
	} {
		t.Run(name, func(t *testing.T) {
			id := strings.ReplaceAll(name, " ", "-")
			b := bench{t, start(t), Config{Topic: topic + "." + id, GroupID: id}}
			b.cfg.Brokers = []string{b.addr}
			if name != "topic comes later" {
				b.createTopic(t, b.cfg.Topic)
			}
			test(b)
		})
	}
}

// newGroupBeginsAtTheOldest fails with sarama's default, which begins at the
// newest and loses what was sent before the group first came.
func newGroupBeginsAtTheOldest(b bench) {
	b.produce(events(0, 50)...)
	var s sink
	stop := b.consume(&s)
	b.eventually("50 orders are handed over", func() bool { return s.orders() == 50 })
	stop()
	if got := b.committed(); got != 50 {
		b.Errorf("committed %d records, want 50", got)
	}
	var next sink
	b.produce(eventOf(50))
	b.consume(&next)
	b.eventually("the new order is handed over", func() bool { return next.orders() > 0 })
	if next.orders() != 1 {
		b.Errorf("the next member was handed %d orders, want only the new one", next.orders())
	}
}

// nothingIsMarkedUnsaved is trap 11, mark after COMMIT: it fails when records
// are marked before Submit has returned nil.
func nothingIsMarkedUnsaved(b bench) {
	b.produce(events(0, 30)...)
	s := sink{failing: true}
	stop := b.consume(&s)
	b.eventually("each partition was tried", func() bool { return s.tried() > 2*partitions })
	stop()
	if got := b.committed(); got != 0 {
		b.Fatalf("committed %d records that nobody saved", got)
	}
	s.mend()
	stop = b.consume(&s)
	b.eventually("all orders are handed over", func() bool { return s.orders() == 30 })
	stop()
	if got := b.committed(); got != 30 {
		b.Errorf("committed %d records, want 30", got)
	}
}

// onlyWhatIsSavedIsCounted: records that are taken and tried again and again are
// no progress. It fails when they are counted before Submit has returned nil.
func onlyWhatIsSavedIsCounted(b bench) {
	b.produce(append([]string{"poison"}, events(0, 29)...)...)
	s, o := sink{failing: true}, observed{}
	b.consumeWith(&s, &o, slog.New(slog.DiscardHandler))
	b.eventually("each partition was tried", func() bool { return s.tried() > 2*partitions })
	if got := o.saved.Load(); got != 0 {
		b.Errorf("counted %d records that nobody saved", got)
	}
	s.mend()
	b.eventually("all are counted", func() bool { return o.saved.Load() == 30 })
}

// lagGrowsUnsaved: what comes while nothing can be saved is lag too, as is what the
// next member finds before it has read a record. It fails when the lag is only what
// it was at the last batch.
func lagGrowsUnsaved(b bench) {
	var o observed
	lags := func(want int64) func() bool {
		return func() bool { sum, of := o.lag(); return sum == want && of == partitions }
	}
	b.produce(events(0, 30)...)
	s := sink{failing: true}
	stop := b.consumeWith(&s, &o, slog.New(slog.DiscardHandler))
	b.eventually("what is there is lag", lags(30))
	b.produce(events(30, 60)...)
	b.eventually("what comes is lag", lags(60))
	s.mend()
	b.eventually("all is saved", lags(0))
	stop()
	if _, of := o.lag(); of != 0 {
		b.Errorf("the lag of %d partitions is told of no member", of)
	}
	b.consumeWith(&s, &o, slog.New(slog.DiscardHandler))
	b.eventually("no lag before there is a record to read", lags(0))
}

// poisonIsPassedOn: what can never work becomes a letter, byte for byte, and
// what follows it is handled.
func poisonIsPassedOn(b bench) {
	poison := []string{
		"", "null", "[]", "{", `{"order_id":7}`, `{"status":"created"}`, `{"order_id":"../x"}`, "\xff\x00",
		`{"order_id":"a\u0000"}`, strings.Repeat("[", 100_000),
	}
	b.produce(append(poison, events(0, 20)...)...)
	var s sink
	stop := b.consume(&s)
	b.eventually("the good ones are handed over", func() bool { return s.orders() == 20 })
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
			b.Errorf("%.40q has no letter", p)
			continue
		}
		if l.Topic != b.cfg.Topic || l.Reason == "" || l.Detail == "" || l.ProducedAt.IsZero() || len(l.Headers) != 1 {
			b.Errorf("%.40q: letter %+v lacks something", p, l)
		}
	}
}

func topicComesLater(b bench) {
	var s sink
	b.consume(&s)
	b.createTopic(b.T, b.cfg.Topic)
	b.produce(events(0, 10)...)
	b.eventually("the orders are handed over", func() bool { return s.orders() == 10 })
}

// membersComeAndGo: partitions move between three members while events come;
// each event is handed to somebody.
func membersComeAndGo(b bench) {
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
	b.eventually("240 orders at last", func() bool { return s.orders() == 240 })
}

// slowSink holds what it is handed until it is let go.
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

// batchInHandIsFinished: a member that is told to stop while a batch is being
// saved waits for it, marks it and commits, so that nobody repeats it.
func batchInHandIsFinished(b bench) {
	b.produce(eventOf(0))
	s := slowSink{entered: make(chan struct{}), release: make(chan struct{})}
	ctx, cancel := context.WithCancel(b.Context())
	wait := b.consumeUntil(ctx, &s)
	<-s.entered
	cancel()
	close(s.release)
	wait()
	if got := b.committed(); got != 1 {
		b.Errorf("committed %d records, want the one that was in hand", got)
	}
}

// givenUpInAnOutage: a member that cannot save gives up the partitions that go to
// another, and keeps the rest. Without the pause that looks for the end of the
// channel, the group waits until its patience ends, and the member loses everything.
func givenUpInAnOutage(b bench) {
	b.produce(events(0, 3_000)...)
	first, second := sink{failing: true}, sink{failing: true}
	var log lockedBuffer
	b.consumeWith(&first, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
	b.eventually("the first tries all partitions", func() bool { return first.tried() > 2*partitions })
	b.consume(&second)
	b.eventually("the second tries some of them", func() bool { return second.tried() > 0 })
	if got := log.String(); strings.Count(got, "joined the consumer group") != 1 || strings.Contains(got, "kafka consumer group") {
		b.Errorf("the first lost its place in the group:\n%s", got)
	}
	first.mend()
	second.mend()
	b.eventually("all orders are handed over", func() bool { return first.orders()+second.orders() >= 3_000 })
	b.eventually("all is committed", func() bool { return b.committed() == 3_000 })
}

// pausedAndGivenBack: in an outage a member has read ahead and paused; another comes
// for half of the partitions and leaves. The first must read on in all of them:
// sarama remembers a pause beyond the claim in which it was made, so that without the
// resume at the claim's end half of the events were never read.
func pausedAndGivenBack(b bench) {
	const all = partitions * 6 * maxAhead
	b.produce(events(0, all)...)
	first, second := sink{failing: true}, sink{failing: true}
	var claims observed
	b.consumeWith(&first, &claims, slog.New(slog.DiscardHandler))
	// A partition's fifth try comes more than a second after its first: it has long read ahead what it may.
	b.eventually("each partition was tried for a while", func() bool { return first.tried() > 5*partitions })
	stop := b.consume(&second)
	b.eventually("the second has half of them", func() bool { return claims.held() == partitions/2 })
	stop()
	b.eventually("the first has all of them again", func() bool { return claims.held() == partitions })
	first.mend()
	b.eventually("all orders are handed over", func() bool { return first.orders() == all })
	b.eventually("all is committed", func() bool { return b.committed() == all })
}

// stopsWhileJoining: a member that is told to stop while the rebalance waits for
// another member does not wait for that one. Without outlivingUnlessJoining it takes over
// five seconds.
func stopsWhileJoining(b bench) {
	b.memberThatNeverRejoins()
	ctx, cancel := context.WithCancel(b.Context())
	wait := b.consumeUntil(ctx, &sink{})
	b.eventually("the join waits for the other member", func() bool { return b.groupState() == "PreparingRebalance" })
	cancel()
	wait()
}

// stuckIsTold: a compressed batch that is too large to unpack stops its
// partition for good. That must be seen, in the log and by whoever asks.
func stuckIsTold(b bench) {
	cfg := saramaConfig()
	cfg.Producer.Return.Successes = true
	cfg.Producer.Compression = sarama.CompressionGZIP
	cfg.Producer.MaxMessageBytes = 2 * maxDecompressedBatch
	p, err := sarama.NewSyncProducer([]string{b.addr}, cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	zeros := sarama.ByteEncoder(make([]byte, maxDecompressedBatch+1))
	if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: b.cfg.Topic, Value: zeros}); err != nil {
		b.Fatal(err)
	}
	var log lockedBuffer
	c := NewConsumer(b.cfg, &sink{}, unobserved{}, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx, false) }()
	b.eventually("Status says that it is stuck", func() bool { return errors.Is(c.Status(), errStuck) })
	cancel()
	<-done
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		b.Errorf("it was told %d times:\n%s", n, log.String())
	}
}

// sinkFunc is a Sink that decides by itself.
type sinkFunc func(orderevent.Batch) error

func (f sinkFunc) Submit(_ context.Context, b orderevent.Batch) error { return f(b) }

// feed is the claim of a partition and its group, which is told to fetch or not.
type feed struct {
	sarama.ConsumerGroup
	sarama.ConsumerGroupClaim
	records chan *sarama.ConsumerMessage
	pauses  int
	paused  bool
}

// newFeed is a feed with those records, all fetched.
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
func (f *feed) Pause(map[string][]int32)                 { f.pauses, f.paused = f.pauses+1, true }
func (f *feed) Resume(map[string][]int32)                { f.paused = false }

// handOver takes a batch and hands it to s until it is saved.
func (f *feed) handOver(ctx context.Context, s Sink) (saved bool) {
	c := NewConsumer(Config{}, s, unobserved{}, unobserved{}, slog.New(slog.DiscardHandler))
	in := reader{claim: f, group: f}
	return c.handOver(ctx, &in, in.take(ctx, nil))
}

// TestFetchingRestsInAnOutage: what is read ahead is bounded, and once the batch is
// saved fetching goes on. It fails without Pause, with one for each further record, and
// without the resume in handOver.
func TestFetchingRestsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(events(0, maxRecords+2*maxAhead)...)
		tries := 0
		saved := f.handOver(t.Context(), sinkFunc(func(orderevent.Batch) error {
			if tries++; tries == 1 {
				return errors.New("the database is away")
			}
			if !f.paused {
				t.Error("more is fetched while nothing can be saved")
			}
			return nil
		}))
		if !saved || f.pauses != 1 || f.paused {
			t.Errorf("saved: %t, paused %d times, still: %t; want it saved, and fetched again after one pause", saved, f.pauses, f.paused)
		}
	})
}

// TestRefusedOneAfterTheOther: what was refused once is not submitted again. It fails
// when only the last refusal is remembered: the two would be refused in turn for ever.
func TestRefusedOneAfterTheOther(t *testing.T) {
	tries := 0
	saved := newFeed(events(0, 2)...).handOver(t.Context(), sinkFunc(func(b orderevent.Batch) error {
		if tries++; len(b.Hints) == 0 || tries > 3 {
			return nil
		}
		return &orderevent.RefusedError{Orders: map[courier.OrderID]error{b.Hints[0].OrderID: errors.New("violates a constraint")}}
	}))
	if !saved || tries != 3 {
		t.Errorf("saved: %t after %d tries, want 3: each of the two is refused once", saved, tries)
	}
}

// TestNotJoinedAfterTheSession fails when Cleanup leaves the member joined: a consumer
// without Kafka would be called ready.
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

// TestConsumerDepartsFromDefaults is trap 11, where the suite does not notice sarama's
// defaults: a commit waits behind the long poll, a mistyped topic comes into being,
// and a rebalance takes every partition from everybody.
func TestConsumerDepartsFromDefaults(t *testing.T) {
	c := saramaConfig()
	if got := c.Consumer.MaxWaitTime; got > 100*time.Millisecond {
		t.Errorf("a commit waits for %v", got)
	}
	if c.Metadata.AllowAutoTopicCreation {
		t.Error("it makes absent topics")
	}
	if s := c.Consumer.Group.Rebalance.GroupStrategies; len(s) != 1 || s[0].Name() != sarama.CooperativeStickyBalanceStrategyName {
		t.Errorf("strategies %v, want cooperative-sticky alone", s)
	}
}
