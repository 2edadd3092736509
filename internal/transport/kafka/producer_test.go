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

	"service-courier/internal/devstack"
	"service-courier/internal/usecase/deadletters"
	"service-courier/test/realkafka"
)

// startKfake starts the embedded broker with the topic of the tests.
func startKfake(t *testing.T) *devstack.Kafka {
	t.Helper()
	k, err := devstack.StartKafka(t.Context(), devstack.KafkaConfig{
		Port: devstack.AnyPort, Topics: map[string]int{topic: partitions}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(context.Background()); err != nil { // the test's own context has ended
			t.Error(err)
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
	publishesByteForByte(t, startKfake(t).Addr())
}

// TestProducerOnRealKafka: this broker would make a topic for any client that
// lets it.
func TestProducerOnRealKafka(t *testing.T) {
	b := realkafka.Require(t, realkafka.Options{Properties: map[string]string{"auto.create.topics.enable": "true"}})
	if err := b.CreateTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	publishesByteForByte(t, b.Addr())
	t.Run("an absent topic is not made", func(t *testing.T) { refusesAnAbsentTopic(t, b.Addr()) })
	// The last: its controller may count the broker as dead for a while afterwards.
	t.Run("a broker that hangs", func(t *testing.T) { survivesAPause(t, b) })
}

// publishesByteForByte: what is absent stays apart from what is empty.
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
func recordAt(t *testing.T, addr string, at deadletters.Position) deadletters.Record {
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

func TestProducerMakesNoTopic(t *testing.T) { refusesAnAbsentTopic(t, startKfake(t).Addr()) }

func refusesAnAbsentTopic(t *testing.T, addr string) {
	t.Helper()
	_, err := newProducer(t, addr, "mistyped").Publish(t.Context(), deadletters.Record{})
	if !errors.Is(err, sarama.ErrUnknownTopicOrPartition) || !strings.Contains(err.Error(), "KAFKA_ORDER_TOPIC") {
		t.Errorf("Publish to an absent topic: %v", err)
	}
}

func TestRefusalIsAnError(t *testing.T) {
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
	for _, asked := range request.Topics {
		answered := kmsg.NewProduceResponseTopic()
		answered.Topic, answered.TopicID = asked.Topic, asked.TopicID
		for _, p := range asked.Partitions {
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
		t.Error("NewProducer gave no error without a broker")
	}
}

func TestWhyDead(t *testing.T) {
	for payload, want := range map[string]string{
		`{"order_id":"o-1","status":"created"}`: "", `{"order_id":"../x"}`: deadletters.BadOrderID, "nope": deadletters.NotJSON, "": deadletters.NotJSON,
	} {
		if got := WhyDead([]byte(payload)); !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("WhyDead(%q) = %q, want %q", payload, got, want)
		}
	}
}

// TestProducerWaitsForEveryReplica: with sarama's default a letter would be redriven
// although its record went with its leader.
func TestProducerWaitsForEveryReplica(t *testing.T) {
	if got := patient(saramaConfig()).Producer.RequiredAcks; got != sarama.WaitForAll {
		t.Errorf("acknowledged by %d, want %d: all that are in sync", got, sarama.WaitForAll)
	}
}

// TestProducerGivesUpInTime: a broker takes the record and never answers. The
// wait is bounded, whatever sarama does; the next record arrives over a new
// connection. Without the bound this takes sarama's own half a minute, and on a
// broker that was stopped and continued it was seen to take for ever.
func TestProducerGivesUpInTime(t *testing.T) {
	k := startKfake(t)
	p := newProducer(t, k.Addr(), topic)
	p.within = 300 * time.Millisecond
	held := make(chan struct{})
	k.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster().SleepControl(func() { <-held })
		return nil, nil, false
	})
	began := time.Now()
	_, err := p.Publish(t.Context(), deadletters.Record{Payload: []byte("x")})
	if took := time.Since(began); !errors.Is(err, errNotAcknowledged) || took > 5*time.Second {
		t.Errorf("Publish: %v after %v", err, took)
	}
	close(held)
	p.within = publishWithin
	if _, err := p.Publish(t.Context(), deadletters.Record{Payload: []byte("y")}); err != nil {
		t.Error(err)
	}
}

// TestProducerEndsWithItsContext: whatever hangs, connecting, publishing and closing
// end when the producer's ctx does. Sarama's own bounds add up to more than the API
// may take for an answer.
func TestProducerEndsWithItsContext(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	t.Cleanup(func() { // the last: sarama's tries fail now, but take their time
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
	for what, addr := range map[string]string{"a listener that says nothing": silent.Addr().String(), "a broker that takes the record": k.Addr()} {
		began := time.Now()
		if err := publishOnce(t, addr, 500*time.Millisecond); err == nil {
			t.Errorf("%s: published", what)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%s: it took %v", what, took)
		}
	}
}

// publishOnce publishes over a producer of its own, all within the time given.
func publishOnce(t *testing.T, addr string, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	p, err := NewProducer(ctx, Config{Brokers: []string{addr}, Topic: topic})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	_, err = p.Publish(t.Context(), deadletters.Record{Payload: []byte("x")})
	return err
}

// survivesAPause: a broker is stopped and continued, again and again, with a
// record on its way. Each record is acknowledged, or the wait for it ends with an
// error; and when the broker answers, so does the producer.
func survivesAPause(t *testing.T, b *realkafka.Broker) {
	p := newProducer(t, b.Addr(), topic)
	p.within = 2 * time.Second
	record := deadletters.Record{Payload: []byte("x")}
	for range 3 {
		if err := b.Pause(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := p.Publish(t.Context(), record); err == nil {
			t.Error("a broker that is stopped acknowledged a record")
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %v to give up", took)
		}
		if err := b.Resume(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(patience)
		for _, err := p.Publish(t.Context(), record); err != nil; _, err = p.Publish(t.Context(), record) {
			if time.Now().After(deadline) {
				t.Fatalf("nothing can be published after %v: %v", patience, err)
			}
		}
	}
}
