package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"go.uber.org/goleak"

	"service-courier/internal/devstack"
	"service-courier/internal/usecase/orderevent"
	"service-courier/test/realkafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, lasting...) }

// lasting is what sarama leaves behind.
var lasting = []goleak.Option{
	// sarama's metrics start one ticker for the whole process and never stop it.
	goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
	// sarama's circuit breaker sleeps out its ten seconds after an outage.
	goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
}

const (
	topic      = "order.status.changed"
	partitions = 6
	patience   = 30 * time.Second // at the border to another process
)

// broker is a Kafka that the suite runs on.
type broker struct {
	addr        string
	createTopic func(t *testing.T, name string)
}

// TestOnKfake runs the suite on the embedded broker.
func TestOnKfake(t *testing.T) {
	suite(t, func(t *testing.T) broker {
		t.Helper()
		k, err := devstack.StartKafka(t.Context(), devstack.KafkaConfig{Port: devstack.AnyPort, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := k.Stop(context.Background()); err != nil { // the test's own context has ended
				t.Error(err)
			}
		})
		return broker{addr: k.Addr(), createTopic: func(t *testing.T, name string) {
			t.Helper()
			admin, err := sarama.NewClusterAdmin([]string{k.Addr()}, saramaConfig())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = admin.Close() }()
			if err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
				t.Fatal(err)
			}
		}}
	})
}

// TestOnRealKafka runs the same suite on Apache Kafka: one broker, a topic a test.
func TestOnRealKafka(t *testing.T) {
	b := realkafka.Require(t, realkafka.Options{})
	suite(t, func(*testing.T) broker {
		return broker{addr: b.Addr(), createTopic: func(t *testing.T, name string) {
			t.Helper()
			if err := b.CreateTopic(t.Context(), name, partitions); err != nil {
				t.Fatal(err)
			}
		}}
	})
}

// bench is one test's topic and group on a broker.
type bench struct {
	*testing.T
	broker
	cfg Config
}

// produce sends the values round the partitions, unkeyed, and returns nothing
// before the broker has them all.
func (b bench) produce(values ...string) {
	b.Helper()
	cfg := saramaConfig()
	cfg.Producer.Return.Successes = true
	cfg.Producer.Partitioner = sarama.NewRoundRobinPartitioner
	p, err := sarama.NewSyncProducer([]string{b.addr}, cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	messages := make([]*sarama.ProducerMessage, len(values))
	for i, v := range values {
		messages[i] = &sarama.ProducerMessage{
			Topic: b.cfg.Topic, Value: sarama.StringEncoder(v), Headers: []sarama.RecordHeader{{Key: []byte("n"), Value: []byte{byte(i)}}},
		}
	}
	if err := p.SendMessages(messages); err != nil {
		b.Fatal(err)
	}
}

// event is a valid record about order n.
func eventOf(n int) string { return fmt.Sprintf(`{"order_id":"o%d","status":"created"}`, n) }

func events(from, to int) []string {
	var out []string
	for n := from; n < to; n++ {
		out = append(out, eventOf(n))
	}
	return out
}

// consume starts a member of the group and returns how to stop it. Stopping
// fails the test when it takes over five seconds.
func (b bench) consume(sink Sink) (stop func()) {
	b.Helper()
	return b.consumeWith(sink, unobserved{}, slog.New(slog.DiscardHandler))
}

// consumeWith is consume for a test that hears what the member tells.
func (b bench) consumeWith(sink Sink, o Observer, log *slog.Logger) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	wait := b.run(ctx, sink, o, log)
	stop = sync.OnceFunc(func() {
		cancel()
		wait()
	})
	b.Cleanup(stop)
	return stop
}

// consumeUntil starts a member that stops when ctx ends, and returns how to
// wait for that.
func (b bench) consumeUntil(ctx context.Context, sink Sink) (wait func()) {
	b.Helper()
	return b.run(ctx, sink, unobserved{}, slog.New(slog.DiscardHandler))
}

func (b bench) run(ctx context.Context, sink Sink, o Observer, log *slog.Logger) (wait func()) {
	b.Helper()
	c := NewConsumer(b.cfg, sink, o, unobserved{}, log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx, false)
	}()
	return func() {
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			b.Error("the consumer did not stop within 5 s")
			<-done
		}
	}
}

// committed returns the sum of the group's committed offsets.
func (b bench) committed() int64 {
	b.Helper()
	all := map[string][]int32{b.cfg.Topic: {0, 1, 2, 3, 4, 5}}
	resp, err := b.admin().ListConsumerGroupOffsets(b.cfg.GroupID, all)
	if err != nil {
		b.Fatal(err)
	}
	var sum int64
	for p := range int32(partitions) {
		sum += max(0, resp.GetBlock(b.cfg.Topic, p).Offset)
	}
	return sum
}

// memberThatNeverRejoins is the only member of the group, for half a minute. It
// does not come when the group is to be balanced anew.
func (b bench) memberThatNeverRejoins() {
	b.Helper()
	const halfAMinute = 30_000
	client, err := sarama.NewClient([]string{b.addr}, saramaConfig())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	coordinator, err := client.Coordinator(b.cfg.GroupID)
	if err != nil {
		b.Fatal(err)
	}
	join := &sarama.JoinGroupRequest{
		Version: 1, GroupId: b.cfg.GroupID, ProtocolType: "consumer", SessionTimeout: halfAMinute, RebalanceTimeout: halfAMinute,
	}
	strategy := saramaConfig().Consumer.Group.Rebalance.GroupStrategies[0].Name()
	if err := join.AddGroupProtocolMetadata(strategy, &sarama.ConsumerGroupMemberMetadata{Topics: []string{b.cfg.Topic}}); err != nil {
		b.Fatal(err)
	}
	joined, err := coordinator.JoinGroup(join)
	if err != nil || !errors.Is(joined.Err, sarama.ErrNoError) {
		b.Fatal(err, joined)
	}
	synced, err := coordinator.SyncGroup(&sarama.SyncGroupRequest{
		GroupId: b.cfg.GroupID, GenerationId: joined.GenerationId, MemberId: joined.MemberId,
	})
	if err != nil || !errors.Is(synced.Err, sarama.ErrNoError) {
		b.Fatal(err, synced)
	}
}

// groupState is a broker's word for it.
func (b bench) groupState() string {
	b.Helper()
	groups, err := b.admin().DescribeConsumerGroups([]string{b.cfg.GroupID})
	if err != nil {
		b.Fatal(err)
	}
	return groups[0].State
}

func (b bench) admin() sarama.ClusterAdmin {
	b.Helper()
	admin, err := sarama.NewClusterAdmin([]string{b.addr}, saramaConfig())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = admin.Close() })
	return admin
}

func (b bench) eventually(what string, ok func() bool) {
	b.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			b.Fatalf("not within %v: %s", patience, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// unobserved is an Observer and a ResetObserver.
type unobserved struct{}

func (unobserved) Claimed(int32, func() (int64, bool)) {}
func (unobserved) Forget(int32)                        {}
func (unobserved) Saved(int)                           {}
func (unobserved) Reset(string, int64)                 {}

// observed remembers what a member tells.
type observed struct {
	saved atomic.Int64

	mu     sync.Mutex
	claims map[int32]func() (int64, bool)
}

func (o *observed) Claimed(partition int32, lag func() (int64, bool)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.claims == nil {
		o.claims = make(map[int32]func() (int64, bool))
	}
	o.claims[partition] = lag
}

func (o *observed) Forget(partition int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.claims, partition)
}

// held is how many partitions it has.
func (o *observed) held() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.claims)
}

// lag is the sum of what is known, and of how many partitions that is.
func (o *observed) lag() (sum int64, of int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, lag := range o.claims {
		if records, known := lag(); known {
			sum, of = sum+records, of+1
		}
	}
	return sum, of
}

func (o *observed) Saved(records int) { o.saved.Add(int64(records)) }

// sink remembers what it was handed; while failing it accepts nothing.
type sink struct {
	mu      sync.Mutex
	seen    map[string]int
	letters []orderevent.DeadLetter
	failing bool
	tries   int
}

func (s *sink) Submit(_ context.Context, b orderevent.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.failing {
		return errors.New("the database is away")
	}
	if s.seen == nil {
		s.seen = make(map[string]int)
	}
	for _, h := range b.Hints {
		s.seen[string(h.OrderID)]++
	}
	s.letters = append(s.letters, b.Letters...)
	return nil
}

func (s *sink) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = false
}

func (s *sink) orders() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

func (s *sink) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
