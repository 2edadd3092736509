package ordersim

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
)

const partitions = 6

func fakeKafka(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.SeedTopics(partitions, DefaultTopic))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// consume reads all partitions from the start until the test ends.
func consume(t *testing.T, brokers []string) <-chan *sarama.ConsumerMessage {
	t.Helper()
	consumer, err := sarama.NewConsumer(brokers, sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan *sarama.ConsumerMessage, 10_000)
	var readers sync.WaitGroup
	var parts []sarama.PartitionConsumer
	for p := range int32(partitions) {
		pc, err := consumer.ConsumePartition(DefaultTopic, p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, pc)
		readers.Go(func() {
			for m := range pc.Messages() {
				messages <- m
			}
		})
	}
	t.Cleanup(func() {
		for _, pc := range parts {
			pc.AsyncClose()
		}
		readers.Wait()
		_ = consumer.Close()
	})
	return messages
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s within 20 s", what)
		panic("unreachable")
	}
}

// TestOverdueEventReachesKafka: an event that is overdue at the start is published once
// Kafka is connected. Fails if the timers do not wait for the first attempt.
func TestOverdueEventReachesKafka(t *testing.T) {
	kafka := fakeKafka(t)
	cfg := Config{StateFile: filepath.Join(t.TempDir(), "orders.jsonl"), Steps: FrozenSteps()}
	cfg.Steps.Delivering = time.Nanosecond
	before := newSim(t, cfg) // not started: its timers stand still
	id := create(t, before)
	if err := before.SetStatus(id, StatusDelivering); err != nil {
		t.Fatal(err)
	}
	if err := before.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	cfg.Brokers = kafka.ListenAddrs()
	startSim(t, cfg)
	messages := consume(t, kafka.ListenAddrs())
	for {
		var e Event
		if err := json.Unmarshal(receive(t, messages, "completion").Value, &e); err != nil {
			t.Fatal(err)
		}
		if e.OrderID == id && e.Status == StatusCompleted {
			return
		}
	}
}

// TestEventsOnKafka: no key, exactly three fields, all partitions used, the events of one
// order spread. Fails if messages have a key.
func TestEventsOnKafka(t *testing.T) {
	kafka := fakeKafka(t)
	log, logged := watchLog()
	s := startSim(t, Config{Brokers: kafka.ListenAddrs(), Steps: FrozenSteps(), Logger: log})
	awaitLog(t, logged, "kafka connected")
	const orders = 60
	want := map[string]bool{}
	statuses := []string{"created", "pending", "confirmed", "cooking", "delivering", "completed"}
	for range orders {
		id := create(t, s)
		want[id+" created"] = true
		for _, status := range statuses[1:] {
			if err := s.SetStatus(id, status); err != nil {
				t.Fatal(err)
			}
			want[id+" "+status] = true
		}
	}
	shape := regexp.MustCompile(`^\{"order_id":"[0-9a-f-]{36}","status":"[a-z]+","created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"\}$`)
	messages := consume(t, kafka.ListenAddrs())
	got, used, spread := map[string]bool{}, map[int32]bool{}, map[string]map[int32]bool{}
	for range orders * len(statuses) {
		m := receive(t, messages, "event")
		if m.Key != nil || !shape.Match(m.Value) {
			t.Fatalf("key %q, value %s", m.Key, m.Value)
		}
		var e Event
		if err := json.Unmarshal(m.Value, &e); err != nil {
			t.Fatal(err)
		}
		got[e.OrderID+" "+e.Status] = true
		used[m.Partition] = true
		if spread[e.OrderID] == nil {
			spread[e.OrderID] = map[int32]bool{}
		}
		spread[e.OrderID][m.Partition] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(used) != partitions {
		t.Errorf("only partitions %v are used", used)
	}
	for _, parts := range spread {
		if len(parts) > 1 {
			return
		}
	}
	t.Error("the events of each order are in one partition, as if they had a key")
}

// TestStopSendsBufferedEvents published before Stop.
func TestStopSendsBufferedEvents(t *testing.T) {
	kafka := fakeKafka(t)
	log, logged := watchLog()
	s := startSim(t, Config{Brokers: kafka.ListenAddrs(), Steps: FrozenSteps(), Logger: log})
	awaitLog(t, logged, "kafka connected")
	for range 500 {
		create(t, s)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	messages := consume(t, kafka.ListenAddrs())
	for range 500 {
		receive(t, messages, "event")
	}
}

// TestKafkaOutages: Kafka starts late, then stops. HTTP works, and each outage is one line
// in the log. Fails without the Swap in kafkaPublisher.outage.
func TestKafkaOutages(t *testing.T) {
	addr := freeAddr(t)
	log, logged := watchLog()
	s := startSim(t, Config{Brokers: []string{addr}, Steps: FrozenSteps(), Logger: log})
	for range 20 {
		decode[Order](t, call(s, "POST", "/order", "u1", validNew), http.StatusCreated)
	}
	const outage = "kafka unavailable, dropping events"
	awaitLog(t, logged, outage)
	_, port, _ := strings.Cut(addr, ":")
	var number int
	_, _ = fmt.Sscan(port, &number)
	kafka := fakeKafka(t, kfake.Ports(number))
	awaitLog(t, logged, "kafka connected")
	id := create(t, s)
	if m := receive(t, consume(t, []string{addr}), "event"); !strings.Contains(string(m.Value), id) {
		t.Errorf("an event of the outage was published: %s", m.Value)
	}
	kafka.Close()
	for range 20 {
		create(t, s)
	}
	awaitLog(t, logged, outage)
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if len(logged) > 0 {
		t.Errorf("logged %q again", <-logged)
	}
}

// TestControlAwaitsKafka: a record published on request is saved before the answer, and one
// that is lost is a 503 with the cause. Fails if the answer does not wait for Kafka.
func TestControlAwaitsKafka(t *testing.T) {
	kafka := fakeKafka(t)
	log, logged := watchLog()
	s := startSim(t, Config{Brokers: kafka.ListenAddrs(), Steps: FrozenSteps(), Logger: log})
	awaitLog(t, logged, "kafka connected")
	const event = ControlPath + "/events?order_id=a&status=created"
	if code, text := control(s, http.MethodPost, event, ""); code != http.StatusOK || text != `{"records":1}`+"\n" {
		t.Errorf("%d %s", code, text)
	}
	if code, text := control(s, http.MethodPost, ControlPath+"/replay?copies=2", ""); code != http.StatusOK || text != `{"records":2}`+"\n" {
		t.Errorf("%d %s", code, text)
	}
	kafka.Close()
	for path, body := range map[string]string{event: "", ControlPath + "/events": "{", ControlPath + "/replay": ""} {
		code, text := control(s, http.MethodPost, path, body)
		if code != http.StatusServiceUnavailable || !strings.Contains(text, "not published: Kafka has saved 0 of ") {
			t.Errorf("%s without Kafka: %d %s", path, code, text)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// watchLog returns a logger and its messages of level info and above.
func watchLog() (*slog.Logger, <-chan string) {
	w := make(watcher, 1000)
	return slog.New(w), w
}

// awaitLog expects the next message.
func awaitLog(t *testing.T, logged <-chan string, want string) {
	t.Helper()
	if got := receive(t, logged, "log line"); got != want {
		t.Fatalf("logged %q, want %q", got, want)
	}
}

type watcher chan string

func (w watcher) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (w watcher) Handle(_ context.Context, r slog.Record) error {
	w <- r.Message
	return nil
}
func (w watcher) WithAttrs([]slog.Attr) slog.Handler { return w }
func (w watcher) WithGroup(string) slog.Handler      { return w }
