package kafka

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"go.uber.org/goleak"

	"service-courier/internal/dev/devkafka"
	"service-courier/internal/usecase/orderevent"
	"service-courier/test/realkafka"
)

// testDecompressedBatch is the limit of the tests, which decompress faster.
const testDecompressedBatch = 4 << 20

func TestMain(m *testing.M) {
	maxDecoded = testDecompressedBatch
	// The tests mostly wait. The command line is read later and takes precedence.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, lasting...)
}

// lasting are the goroutines that sarama leaves running.
var lasting = []goleak.Option{
	// sarama's metrics start one ticker per process and never stop it.
	goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
	// sarama's circuit breaker sleeps for ten seconds after an outage.
	goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
}

const (
	topic      = "order.status.changed"
	partitions = 6
	patience   = 30 * time.Second // with another process
)

// broker is a broker of the suite.
type broker struct {
	addr        string
	createTopic func(t *testing.T, name string)
}

// TestOnKfake runs the suite on the embedded broker.
func TestOnKfake(t *testing.T) {
	t.Parallel()
	suite(t, func(t *testing.T) broker {
		t.Helper()
		t.Parallel()
		k, err := devkafka.Start(t.Context(), devkafka.Config{Port: devkafka.AnyPort, Logger: slog.New(slog.DiscardHandler)})
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

// TestOnRealKafka runs the same suite on Apache Kafka: one broker, a topic per test.
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

// fixture is the topic and group of one test.
type fixture struct {
	*testing.T
	broker
	cfg Config
}

// produce sends the values to the partitions in turn, without keys, and returns when
// the broker has acknowledged them.
func (b fixture) produce(values ...string) {
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

// eventOf is a valid record about order n.
func eventOf(n int) string { return fmt.Sprintf(`{"order_id":"o%d","status":"created"}`, n) }

func events(from, to int) []string {
	var out []string
	for n := from; n < to; n++ {
		out = append(out, eventOf(n))
	}
	return out
}

// consume starts a member of the group and returns the function that stops it, which
// fails the test if that takes over five seconds.
func (b fixture) consume(sink Sink) (stop func()) {
	b.Helper()
	return b.consumeWith(sink, unobserved{}, slog.New(slog.DiscardHandler))
}

// consumeWith is consume with an observer and a log.
func (b fixture) consumeWith(sink Sink, o Observer, log *slog.Logger) (stop func()) {
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

// consumeUntil starts a member that stops when ctx ends, and returns the function
// that waits for it.
func (b fixture) consumeUntil(ctx context.Context, sink Sink) (wait func()) {
	b.Helper()
	return b.run(ctx, sink, unobserved{}, slog.New(slog.DiscardHandler))
}

func (b fixture) run(ctx context.Context, sink Sink, o Observer, log *slog.Logger) (wait func()) {
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
func (b fixture) committed() int64 {
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

// joinWithoutRejoining adds a member that is alone in the group for half a minute and
// ignores the next rebalance.
func (b fixture) joinWithoutRejoining() {
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

// groupState returns the state of the group, in Kafka's terms.
func (b fixture) groupState() string {
	b.Helper()
	groups, err := b.admin().DescribeConsumerGroups([]string{b.cfg.GroupID})
	if err != nil {
		b.Fatal(err)
	}
	return groups[0].State
}

func (b fixture) admin() sarama.ClusterAdmin {
	b.Helper()
	admin, err := sarama.NewClusterAdmin([]string{b.addr}, saramaConfig())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = admin.Close() })
	return admin
}

func (b fixture) eventually(what string, ok func() bool) {
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
func (unobserved) Released(int32)                      {}
func (unobserved) Saved(int)                           {}
func (unobserved) Reset(string, int64)                 {}
func (unobserved) Panicked()                           {}

// recorder is an Observer that records the calls.
type recorder struct {
	saved, panics atomic.Int64

	mu     sync.Mutex
	claims map[int32]func() (int64, bool)
}

func (o *recorder) Claimed(partition int32, lag func() (int64, bool)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.claims == nil {
		o.claims = make(map[int32]func() (int64, bool))
	}
	o.claims[partition] = lag
}

func (o *recorder) Released(partition int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.claims, partition)
}

// held is the number of claimed partitions.
func (o *recorder) held() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.claims)
}

// lag returns the sum of the known lags and their number.
func (o *recorder) lag() (sum int64, of int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, lag := range o.claims {
		if records, known := lag(); known {
			sum, of = sum+records, of+1
		}
	}
	return sum, of
}

func (o *recorder) Saved(records int) { o.saved.Add(int64(records)) }

func (o *recorder) Panicked() { o.panics.Add(1) }

// sink records the batches; while failing it accepts none.
type sink struct {
	mu       sync.Mutex
	seen     map[string]int
	letters  []orderevent.DeadLetter
	failing  bool
	attempts int
}

func (s *sink) Submit(_ context.Context, b orderevent.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	if s.failing {
		return errors.New("database unavailable")
	}
	if s.seen == nil {
		s.seen = make(map[string]int)
	}
	for _, h := range b.Hints {
		s.seen[string(h.OrderID)]++
	}
	s.letters = append(s.letters, b.DeadLetters...)
	return nil
}

func (s *sink) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = true
}

func (s *sink) recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = false
}

func (s *sink) orders() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

func (s *sink) attempted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts
}

// lockedBuffer is a log that can be read while it is written.
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
