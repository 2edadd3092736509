package kafka

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"service-courier/internal/dev/devkafka"
	"service-courier/internal/usecase/deadletters"
	"service-courier/test/realkafka"
)

// startKfake starts the embedded broker with the topic of the tests.
func startKfake(tb testing.TB) *devkafka.Broker {
	tb.Helper()
	k, err := devkafka.Start(tb.Context(), devkafka.Config{
		Port: devkafka.AnyPort, Topics: map[string]int{topic: partitions}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := k.Stop(context.Background()); err != nil { // the test's own context has ended
			tb.Error(err)
		}
	})
	return k
}

func newProducer(t *testing.T, addr, topic string) *Producer {
	t.Helper()
	p, err := NewProducer(context.Background(), Config{Brokers: []string{addr}, Topic: topic}) // the test's own context ends before Close
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestProducerOnKfake(t *testing.T) {
	t.Parallel()
	publishesByteForByte(t, startKfake(t).Addr())
}

// TestProducerOnRealKafka: this broker creates a topic for any client that allows it.
func TestProducerOnRealKafka(t *testing.T) {
	b := realkafka.Require(t, realkafka.Options{Properties: map[string]string{"auto.create.topics.enable": "true"}})
	if err := b.CreateTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	publishesByteForByte(t, b.Addr())
	t.Run("a missing topic is not created", func(t *testing.T) { failsWithoutTopic(t, b.Addr()) })
	// Last, since the controller may consider the broker dead for a while.
	t.Run("a broker that hangs", func(t *testing.T) { survivesHangingBroker(t, b) })
}

// publishesByteForByte: absent and empty bytes stay different.
func publishesByteForByte(t *testing.T, addr string) {
	t.Helper()
	p := newProducer(t, addr, topic)
	headers := []deadletters.Header{{Key: []byte("n"), Value: nil}, {Key: []byte{0xff}, Value: []byte{0}}}
	for _, r := range []deadletters.Record{
		{Key: []byte{0, 0xff}, Payload: []byte("\x00\xfe{"), Headers: headers},
		{Payload: []byte{}},
		{Key: []byte{}},
		{Payload: []byte(strings.Repeat("x", 1_040_000))}, // about the broker's default limit
	} {
		at, err := p.Publish(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, recordAt(t, addr, at)); diff != "" {
			t.Error(diff)
		}
	}
}

// recordAt reads one record back.
func recordAt(t *testing.T, addr string, at deadletters.RecordPosition) deadletters.Record {
	t.Helper()
	consumer, err := sarama.NewConsumer([]string{addr}, saramaConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	part, err := consumer.ConsumePartition(topic, at.Partition, at.Offset)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = part.Close() }()
	m := <-part.Messages()
	r := deadletters.Record{Key: m.Key, Payload: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, deadletters.Header{Key: h.Key, Value: h.Value})
	}
	return r
}

func TestProducerCreatesNoTopic(t *testing.T) {
	t.Parallel()
	failsWithoutTopic(t, startKfake(t).Addr())
}

func failsWithoutTopic(t *testing.T, addr string) {
	t.Helper()
	_, err := newProducer(t, addr, "mistyped").Publish(t.Context(), deadletters.Record{})
	if !errors.Is(err, sarama.ErrUnknownTopicOrPartition) || !strings.Contains(err.Error(), "KAFKA_ORDER_TOPIC") {
		t.Errorf("Publish to a missing topic: %v", err)
	}
}

func TestPublishRefusedByBroker(t *testing.T) {
	k := startKfake(t)
	p := newProducer(t, k.Addr(), topic)
	k.Cluster().ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		return refusal(request.(*kmsg.ProduceRequest), kerr.TopicAuthorizationFailed.Code), nil, true
	})
	_, err := p.Publish(t.Context(), deadletters.Record{Payload: []byte("x")})
	if !errors.Is(err, deadletters.ErrForbidden) || !strings.Contains(err.Error(), "allow this user") {
		t.Errorf("Publish: %v", err)
	}
}

// refusal answers every partition of a request with an error code.
func refusal(request *kmsg.ProduceRequest, code int16) kmsg.Response {
	response := request.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range request.Topics {
		answered := kmsg.NewProduceResponseTopic()
		answered.Topic, answered.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, code
			answered.Partitions = append(answered.Partitions, part)
		}
		response.Topics = append(response.Topics, answered)
	}
	return response
}

func TestProducerNeedsABroker(t *testing.T) {
	if _, err := NewProducer(t.Context(), Config{Brokers: []string{"127.0.0.1:1"}, Topic: topic}); err == nil {
		t.Error("NewProducer returned no error without a broker")
	}
}

func TestDeadLetterReason(t *testing.T) {
	for payload, want := range map[string]string{
		`{"order_id":"o-1","status":"created"}`: "", `{"order_id":"../x"}`: deadletters.BadOrderID, "nope": deadletters.NotJSON, "": deadletters.NotJSON,
	} {
		if got := DeadLetterReason([]byte(payload)); !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("DeadLetterReason(%q) = %q, want %q", payload, got, want)
		}
	}
}

// TestProducerWaitsForEveryReplica: with sarama's default a dead letter could be
// marked as redriven although its record was lost with the leader.
func TestProducerWaitsForEveryReplica(t *testing.T) {
	if got := producerConfig(saramaConfig()).Producer.RequiredAcks; got != sarama.WaitForAll {
		t.Errorf("acknowledged by %d, want %d: all in-sync replicas", got, sarama.WaitForAll)
	}
}

// TestProducerTimesOut: a broker takes the record and never answers. The wait is
// bounded, and the next record uses a new connection. Without the timeout this takes
// half a minute, and with a broker that was stopped and continued for ever.
func TestProducerTimesOut(t *testing.T) {
	t.Parallel()
	k := startKfake(t)
	p := newProducer(t, k.Addr(), topic)
	p.timeout = 300 * time.Millisecond
	held := make(chan struct{})
	k.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster().SleepControl(func() { <-held })
		return nil, nil, false
	})
	began := time.Now()
	_, err := p.Publish(t.Context(), deadletters.Record{Payload: []byte("x")})
	if took := time.Since(began); !errors.Is(err, errNotAcknowledged) || !errors.Is(err, deadletters.ErrUnreachable) || took > 5*time.Second {
		t.Errorf("Publish: %v after %v", err, took)
	}
	close(held)
	p.timeout = publishTimeout
	if _, err := p.Publish(t.Context(), deadletters.Record{Payload: []byte("y")}); err != nil {
		t.Error(err)
	}
}

// TestProducerEndsWithItsContext: connecting, publishing and closing end with the
// producer's ctx. sarama's own timeouts together are longer than an API request.
func TestProducerEndsWithItsContext(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	t.Cleanup(func() { // last: sarama's retries fail now, but take some time
		deadline := time.Now().Add(patience)
		for goleak.Find(lasting...) != nil && time.Now().Before(deadline) {
			continue
		}
	})
	k, held := startKfake(t), make(chan struct{})
	defer close(held)
	k.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster().SleepControl(func() { <-held })
		return nil, nil, false
	})
	for what, addr := range map[string]string{"a listener that never answers": silent.Addr().String(), "a broker that never acknowledges": k.Addr()} {
		began := time.Now()
		if err := publishOnce(t, addr, 500*time.Millisecond); err == nil {
			t.Errorf("%s: published", what)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%s: took %v", what, took)
		}
	}
}

// publishOnce publishes with a new producer and a timeout.
func publishOnce(t *testing.T, addr string, timeout time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	p, err := NewProducer(ctx, Config{Brokers: []string{addr}, Topic: topic})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	_, err = p.Publish(t.Context(), deadletters.Record{Payload: []byte("x")})
	return err
}

// survivesHangingBroker: a broker is stopped and continued several times during a
// Publish. Each Publish ends, and works again when the broker answers.
func survivesHangingBroker(t *testing.T, b *realkafka.Broker) {
	p := newProducer(t, b.Addr(), topic)
	p.timeout = 2 * time.Second
	record := deadletters.Record{Payload: []byte("x")}
	for range 3 {
		if err := b.Pause(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := p.Publish(t.Context(), record); err == nil {
			t.Error("a stopped broker acknowledged a record")
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the timeout took %v", took)
		}
		if err := b.Resume(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(patience)
		for _, err := p.Publish(t.Context(), record); err != nil; _, err = p.Publish(t.Context(), record) {
			if time.Now().After(deadline) {
				t.Fatalf("cannot publish after %v: %v", patience, err)
			}
		}
	}
}
