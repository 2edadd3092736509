package realkafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/test/realkafka"
)

const topic = "order.status.changed"

// TestBroker uses one broker, since a start takes seconds: each subtest needs the state of
// the previous one.
func TestBroker(t *testing.T) {
	broker := realkafka.Require(t, realkafka.Options{})
	addr := broker.Addr()
	if err := broker.CreateTopic(t.Context(), topic, 3); err != nil {
		t.Fatal(err)
	}

	produce(t, addr, "first")
	wantMessages(t, addr, "first")

	t.Run("an unknown topic is not created", func(t *testing.T) {
		client := newClient(t, addr)
		if partitions, err := client.Partitions("no.such.topic"); err == nil {
			t.Errorf("Partitions = %v, want an error", partitions)
		}
	})
	t.Run("a consumer group forms at once", func(t *testing.T) { consumeInGroup(t, addr) })
	t.Run("a paused broker answers only after Resume", func(t *testing.T) { pauseAndResume(t, broker) })
	t.Run("address and data survive Kill and Restart", func(t *testing.T) {
		if err := broker.Kill(); err != nil {
			t.Fatal(err)
		}
		if client, err := sarama.NewClient([]string{addr}, config()); err == nil {
			t.Error("the killed broker answers", client.Close())
		}
		restart(t, broker)
		if broker.Addr() != addr {
			t.Errorf("Addr = %s, was %s", broker.Addr(), addr)
		}
		wantMessages(t, addr, "first", "while paused")
	})
	t.Run("new messages after Stop and Restart", func(t *testing.T) {
		if err := broker.Stop(); err != nil {
			t.Fatal(err)
		}
		restart(t, broker)
		produce(t, addr, "last")
		wantMessages(t, addr, "first", "while paused", "last")
	})
	t.Run("Close twice", func(t *testing.T) {
		for range 2 {
			if err := broker.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("a killed test process leaves no broker", noOrphan)
}

func restart(t *testing.T, broker *realkafka.Broker) {
	t.Helper()
	began := time.Now()
	if err := broker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("serving again after %s", time.Since(began).Round(time.Millisecond))
}

// pauseAndResume sends a message during a pause: it arrives after Resume.
func pauseAndResume(t *testing.T, broker *realkafka.Broker) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// sarama's producer once never returned, on a loaded machine.
	producer, err := kgo.NewClient(
		kgo.SeedBrokers(broker.Addr()), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := broker.Pause(); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() { sent <- producer.ProduceSync(ctx, kgo.StringRecord("while paused")).FirstErr() }()
	select {
	case err := <-sent:
		t.Errorf("the paused broker answered: %v", err)
	case <-time.After(300 * time.Millisecond): // long for a broker that answers in 5 ms
	}
	if err := broker.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Errorf("send during a pause: %v", err)
	}
}

// consumeInGroup reads one message in a consumer group.
func consumeInGroup(t *testing.T, addr string) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	group, err := sarama.NewConsumerGroup([]string{addr}, "realkafka", config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := group.Close(); err != nil {
			t.Error(err)
		}
	}()
	handler := &firstMessage{got: make(chan string, 1), stop: cancel}
	if err := group.Consume(ctx, []string{topic}, handler); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-handler.got:
		if got != "first" {
			t.Errorf("got %q, want %q", got, "first")
		}
	default:
		t.Error("no message")
	}
}

// firstMessage ends its session after a message.
type firstMessage struct {
	got  chan string
	stop context.CancelFunc
}

func (*firstMessage) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*firstMessage) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *firstMessage) ConsumeClaim(_ sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		select {
		case h.got <- string(message.Value):
		default:
		}
		h.stop()
	}
	return nil
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.AllowAutoTopicCreation = false
	config.Metadata.Retry.Max = 0
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	config.Producer.Return.Successes = true
	// One partition: the order of the messages is known.
	config.Producer.Partitioner = sarama.NewManualPartitioner
	return config
}

func newClient(t *testing.T, addr string) sarama.Client {
	t.Helper()
	client, err := sarama.NewClient([]string{addr}, config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newProducer(t *testing.T, addr string) sarama.SyncProducer {
	t.Helper()
	producer, err := sarama.NewSyncProducer([]string{addr}, config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	return producer
}

func produce(t *testing.T, addr, value string) {
	t.Helper()
	if err := send(newProducer(t, addr), value); err != nil {
		t.Fatal(err)
	}
}

func send(producer sarama.SyncProducer, value string) error {
	_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	return err
}

// wantMessages reads partition 0 from the start.
func wantMessages(t *testing.T, addr string, want ...string) {
	t.Helper()
	consumer, err := sarama.NewConsumer([]string{addr}, config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = partition.Close() }()
	deadline := time.After(15 * time.Second)
	var got []string
	for len(got) < len(want) {
		select {
		case message := <-partition.Messages():
			got = append(got, string(message.Value))
		case <-deadline:
			t.Fatalf("got %q in time, want %q", got, want)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
