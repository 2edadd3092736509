package devkafka

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/dev"
)

const (
	testTopic = "order.status.changed"
	testGroup = "service-courier"
)

func startTest(t *testing.T, cfg Config) *Broker {
	t.Helper()
	cfg.Logger = silent()
	broker, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	stopIn(t, broker.Stop)
	return broker
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	config.Metadata.AllowAutoTopicCreation = false
	return config
}

// produce sends count records, numbered from first on, to each partition.
func produce(addr string, partitions, first, count int) (err error) {
	producer, err := sarama.NewSyncProducer([]string{addr}, saramaConfig())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	var messages []*sarama.ProducerMessage
	for n := first; n < first+count; n++ {
		for partition := range partitions {
			messages = append(messages, &sarama.ProducerMessage{
				Topic: testTopic, Partition: int32(partition), Value: sarama.StringEncoder(strconv.Itoa(n)),
			})
		}
	}
	return producer.SendMessages(messages)
}

// groupReader commits the first `most` records of each partition.
type groupReader struct {
	most int
	seen chan *sarama.ConsumerMessage
}

func (groupReader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (groupReader) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (r groupReader) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for range r.most {
		select {
		case message, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			session.MarkMessage(message, "")
			session.Commit()
			r.seen <- message
		case <-session.Context().Done():
			return nil
		}
	}
	<-session.Context().Done() // returning would end the session of the others
	return nil
}

// consume runs testGroup with one member until it has read and committed `most` records of
// each of the partitions. It returns the values in order by partition.
func consume(ctx context.Context, addr string, partitions, most int) (_ map[int32][]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	consumer, err := sarama.NewConsumerGroup([]string{addr}, testGroup, saramaConfig())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, consumer.Close()) }()
	reader := groupReader{most: most, seen: make(chan *sarama.ConsumerMessage, partitions*most)}
	ended := make(chan error, 1)
	session, stop := context.WithCancel(ctx)
	go func() { ended <- consumer.Consume(session, []string{testTopic}, reader) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()

	values := make(map[int32][]string)
	for range partitions * most {
		select {
		case message := <-reader.seen:
			values[message.Partition] = append(values[message.Partition], string(message.Value))
		case <-ctx.Done():
			return values, ctx.Err()
		}
	}
	return values, nil
}

func TestSaramaProducesAndConsumes(t *testing.T) {
	t.Parallel()
	broker := startTest(t, Config{Port: AnyPort, Topics: map[string]int{testTopic: 2}})
	must(t, produce(broker.Addr(), 2, 0, 5))
	first, err := consume(t.Context(), broker.Addr(), 2, 3)
	must(t, err)
	rest, err := consume(t.Context(), broker.Addr(), 2, 2)
	must(t, err)
	for partition := range int32(2) {
		got := strings.Join(append(first[partition], rest[partition]...), " ")
		if got != "0 1 2 3 4" {
			t.Errorf("partition %d: %s", partition, got)
		}
	}
}

func TestDataSurvivesStop(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "missing", "kafka")
	broker := startTest(t, Config{Port: AnyPort, DataDir: dir, Topics: map[string]int{testTopic: 2}})
	must(t, produce(broker.Addr(), 2, 0, 3))
	_, err := consume(t.Context(), broker.Addr(), 2, 2)
	must(t, err)
	if _, err := Start(t.Context(), Config{Port: AnyPort, DataDir: dir, Logger: silent()}); !errors.Is(err, dev.ErrLocked) {
		t.Fatalf("a second start on its directory: %v", err)
	}
	must(t, broker.Stop(t.Context()))
	must(t, broker.Stop(t.Context()))

	again := startTest(t, Config{Port: AnyPort, DataDir: dir, Topics: map[string]int{testTopic: 2, "new": 0}})
	assertPartitions(t, again.Addr(), map[string]int{testTopic: 2, "new": 6})
	rest, err := consume(t.Context(), again.Addr(), 2, 1)
	must(t, err)
	if rest[0][0] != "2" || rest[1][0] != "2" {
		t.Errorf("continued at %v", rest)
	}
}

func assertPartitions(t *testing.T, addr string, topics map[string]int) {
	t.Helper()
	client, err := sarama.NewClient([]string{addr}, saramaConfig())
	must(t, err)
	defer func() { _ = client.Close() }()
	if got := client.Brokers(); len(got) != 1 || got[0].Addr() != addr {
		t.Errorf("advertised %v, want %s alone", got, addr)
	}
	for topic, want := range topics {
		if got, err := client.Partitions(topic); err != nil || len(got) != want {
			t.Errorf("%s has %d partitions, want %d; %v", topic, len(got), want, err)
		}
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	taken, err := dev.Listen(t.Context(), 0)
	must(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	_, err = Start(t.Context(), Config{Port: taken.Addr().(*net.TCPAddr).Port, Logger: silent()})
	if !errors.Is(err, dev.ErrPortTaken) || !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("a taken port: %v", err)
	}
	_, err = Start(t.Context(), Config{Port: 70000, Topics: map[string]int{"": 1}, Logger: silent()})
	if err == nil || !strings.Contains(err.Error(), "70000") || !strings.Contains(err.Error(), `topic ""`) {
		t.Errorf("bad values are not all named: %v", err)
	}
	// Two brokers start even if another process has the default port.
	one, two := startTest(t, Config{}), startTest(t, Config{})
	if one.Addr() == two.Addr() {
		t.Errorf("both on %s", one.Addr())
	}
}

func TestControlKeyFailsRequests(t *testing.T) {
	t.Parallel()
	broker := startTest(t, Config{Port: AnyPort, Topics: map[string]int{testTopic: 1}})
	refused := make(chan struct{})
	broker.Cluster().ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		close(refused)
		response := request.ResponseKind().(*kmsg.ProduceResponse)
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic = testTopic
		partition := kmsg.NewProduceResponseTopicPartition()
		partition.ErrorCode = kerr.NotLeaderForPartition.Code
		topic.Partitions = append(topic.Partitions, partition)
		response.Topics = append(response.Topics, topic)
		return response, nil, true
	})
	must(t, produce(broker.Addr(), 1, 0, 1)) // sarama tries again
	<-refused
}

// Retention removes the oldest records and never resets the offsets.
func TestRetentionIsBySize(t *testing.T) {
	t.Parallel()
	broker := startTest(t, Config{Port: AnyPort, Topics: map[string]int{testTopic: 1}, RetentionBytes: 200})
	for n := range 10 { // batches: what retention removes one at a time
		must(t, produce(broker.Addr(), 1, n, 1))
	}
	broker.Cluster().ApplyRetention()

	client, err := sarama.NewClient([]string{broker.Addr()}, saramaConfig())
	must(t, err)
	defer func() { _ = client.Close() }()
	oldest, err := client.GetOffset(testTopic, 0, sarama.OffsetOldest)
	must(t, err)
	next, err := client.GetOffset(testTopic, 0, sarama.OffsetNewest)
	must(t, err)
	if oldest == 0 || oldest >= next || next != 10 {
		t.Errorf("kept %d to %d, want the last few of 10", oldest, next)
	}
}
