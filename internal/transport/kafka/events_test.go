package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/propagation"

	"service-courier/internal/courier"
	"service-courier/internal/outage"
	"service-courier/internal/usecase/outbox"
	"service-courier/test/realkafka"
)

// counts implements EventObserver.
type counts struct{ published, skipped int }

func (c *counts) EventsPublished(n int) { c.published += n }
func (c *counts) EventSkipped()         { c.skipped++ }

func newEventProducer(tb testing.TB, addr, topic string) (*EventProducer, *counts, *bytes.Buffer) {
	tb.Helper()
	c, log := &counts{}, &bytes.Buffer{}
	p := NewEventProducer(Config{Brokers: []string{addr}, Topic: topic}, c, slog.New(slog.NewTextHandler(log, nil)))
	tb.Cleanup(func() {
		_ = p.Close()
		p.closing.Wait()
	})
	return p, c, log
}

// courierEvent is an event of the tests.
func courierEvent(order string, sequence int64) outbox.Event {
	return outbox.Event{
		Type: outbox.TypeAssigned, OrderID: courier.OrderID(order), CourierID: 7, Transport: courier.Car, Sequence: sequence,
		OccurredAt: time.Date(2026, 1, 2, 6, 4, 5, 600_000_000, time.FixedZone("", 3*60*60)), Deadline: time.Date(2026, 1, 2, 3, 9, 5, 0, time.UTC),
	}
}

// published reads n events from all partitions.
func published(t *testing.T, addr string, n int) (messages []*sarama.ConsumerMessage) {
	t.Helper()
	consumer, err := sarama.NewConsumer([]string{addr}, saramaConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	received := make(chan *sarama.ConsumerMessage)
	for p := range int32(partitions) {
		part, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = part.Close() }()
		go func() {
			for m := range part.Messages() {
				select {
				case received <- m:
				case <-ctx.Done():
				}
			}
		}()
	}
	for len(messages) < n {
		select {
		case m := <-received:
			messages = append(messages, m)
		case <-ctx.Done():
			t.Fatalf("%d of %d events", len(messages), n)
		}
	}
	return messages
}

const traceOfPage = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// traced is the context of a page whose publishing is traced.
func traced(ctx context.Context) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceOfPage})
}

// TestEventOnTheWire: an event is JSON with the headers of CloudEvents, and its key is the
// order. Without courier and deadline they are null. The traceparent is that of publishing, if that is traced.
func TestEventOnTheWire(t *testing.T) {
	t.Parallel()
	publishesEvents(t, startKfake(t).Addr())
}

func TestEventOnRealKafka(t *testing.T) {
	b := realkafka.Require(t, realkafka.Options{})
	if err := b.CreateTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	publishesEvents(t, b.Addr())
}

func publishesEvents(t *testing.T, addr string) {
	t.Helper()
	p, c, _ := newEventProducer(t, addr, topic)
	queued := outbox.Event{Type: outbox.TypeQueued, OrderID: "b", OccurredAt: courierEvent("b", 1).OccurredAt, Sequence: 11, Reason: "service-order reports created"}
	if err := p.Publish(traced(t.Context()), []outbox.Event{courierEvent("a", 12)}); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), []outbox.Event{queued}); err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]string)
	for _, m := range published(t, addr, 2) {
		parts := []string{string(m.Value)}
		for _, h := range m.Headers {
			parts = append(parts, string(h.Key)+": "+string(h.Value))
		}
		got[string(m.Key)] = parts
	}
	want := map[string][]string{
		"a": {
			`{"event_id":"a.12","type":"assigned","order_id":"a","courier_id":7,"transport_type":"car","deadline":"2026-01-02T03:09:05Z",` +
				`"occurred_at":"2026-01-02T03:04:05.6Z","reason":"","sequence":12}`,
			"content-type: application/json", "ce_specversion: 1.0", "ce_id: a.12", "ce_source: /service-courier",
			"ce_type: courier.assignment.assigned", "ce_subject: a", "ce_time: 2026-01-02T03:04:05.6Z",
			"traceparent: " + traceOfPage,
		},
		"b": {
			`{"event_id":"b.11","type":"queued","order_id":"b","courier_id":null,"transport_type":null,"deadline":null,` +
				`"occurred_at":"2026-01-02T03:04:05.6Z","reason":"service-order reports created","sequence":11}`,
			"content-type: application/json", "ce_specversion: 1.0", "ce_id: b.11", "ce_source: /service-courier",
			"ce_type: courier.assignment.queued", "ce_subject: b", "ce_time: 2026-01-02T03:04:05.6Z",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if c.published != 2 {
		t.Errorf("%d events counted, want 2", c.published)
	}
}

// BenchmarkEventProducer publishes batches of 500 events to the embedded broker, which
// takes part of the CPU.
func BenchmarkEventProducer(b *testing.B) {
	k := startKfake(b)
	p, _, _ := newEventProducer(b, k.Addr(), topic)
	var batch []outbox.Event
	for i := range 500 {
		batch = append(batch, courierEvent(fmt.Sprintf("0b9c6a52-7d1e-4f3a-9c88-%012d", i), int64(i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Publish(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(batch)*b.N)/b.Elapsed().Seconds(), "events/s")
}

// TestEventThatKafkaNeverAccepts is skipped alone and logged, as is one whose order id in the
// journal is none.
func TestEventThatKafkaNeverAccepts(t *testing.T) {
	t.Parallel()
	k := startKfake(t)
	p, c, log := newEventProducer(t, k.Addr(), topic)
	large := courierEvent("large", 2)
	large.Reason = strings.Repeat("x", 4*eventBatch)
	unreadable := courierEvent("unreadable", 3)
	unreadable.OccurredAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := p.Publish(t.Context(), []outbox.Event{courierEvent("a", 1), large, unreadable, courierEvent("../x", 5), courierEvent("b", 4)}); err != nil {
		t.Fatal(err)
	}
	published(t, k.Addr(), 2)
	if c.published != 2 || c.skipped != 3 {
		t.Errorf("%d events published, %d skipped; want 2 and 3", c.published, c.skipped)
	}
	if text := log.String(); !strings.Contains(text, "event_id=large.2") || !strings.Contains(text, "event_id=unreadable.3") {
		t.Errorf("log: %s", text)
	}
}

// TestEventsAreRefusedForNow: an error that may end is returned, and the next call
// connects again.
func TestEventsAreRefusedForNow(t *testing.T) {
	t.Parallel()
	k := startKfake(t)
	p, c, _ := newEventProducer(t, k.Addr(), topic)
	k.Cluster().ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		return refusal(request.(*kmsg.ProduceRequest), kerr.TopicAuthorizationFailed.Code), nil, true
	})
	err := p.Publish(t.Context(), []outbox.Event{courierEvent("a", 1)})
	if fix, ok := errors.AsType[outage.Fixable](err); !ok || !strings.Contains(fix.Fix, "KAFKA_ASSIGNMENT_TOPIC") || c.skipped != 0 {
		t.Errorf("Publish: %v, %d skipped", err, c.skipped)
	}
	if err := p.Publish(t.Context(), []outbox.Event{courierEvent("a", 1)}); err != nil {
		t.Fatal(err)
	}
	published(t, k.Addr(), 1)
}

// TestEventsOfAnOrderStayInOrder: they are too large for one batch, and a later batch is not
// sent while an earlier one is not accepted. The next call publishes the rest.
func TestEventsOfAnOrderStayInOrder(t *testing.T) {
	k := startKfake(t)
	p, c, _ := newEventProducer(t, k.Addr(), topic)
	var events []outbox.Event
	for i := range int64(4) {
		e := courierEvent("a", i+1)
		e.Reason = strings.Repeat("x", 2*eventBatch/5)
		events = append(events, e) // two in each batch
	}
	requests := 0
	k.Cluster().ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster().KeepControl()
		requests++
		if requests == 1 || requests > 3 { // the second one, which is tried twice
			return nil, nil, false
		}
		return refusal(request.(*kmsg.ProduceRequest), kerr.NotEnoughReplicas.Code), nil, true
	})
	if err := p.Publish(t.Context(), events); !errors.Is(err, sarama.ErrNotEnoughReplicas) || c.published != 2 || requests != 3 {
		t.Errorf("Publish: %v, %d events published by %d requests; want 2 by 3", err, c.published, requests)
	}
	if err := p.Publish(t.Context(), events[2:]); err != nil {
		t.Fatal(err)
	}
	for i, m := range published(t, k.Addr(), 4) {
		if want := fmt.Sprintf(`{"event_id":"a.%d"`, i+1); !strings.HasPrefix(string(m.Value), want) {
			t.Errorf("event %d is %.30s, want %s", i, m.Value, want)
		}
	}
}

// TestProducerConnectsAgain after the broker has closed the connection, as it does when it was
// idle: that is no failure.
func TestProducerConnectsAgain(t *testing.T) {
	k := startKfake(t)
	p, c, _ := newEventProducer(t, k.Addr(), topic)
	if err := p.Publish(t.Context(), []outbox.Event{courierEvent("a", 1)}); err != nil {
		t.Fatal(err)
	}
	k.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, errors.New("closes the connection"), true
	})
	if err := p.Publish(t.Context(), []outbox.Event{courierEvent("a", 2)}); err != nil {
		t.Fatal(err)
	}
	published(t, k.Addr(), 2)
	if c.published != 2 {
		t.Errorf("%d events published, want 2", c.published)
	}
}

// TestEventsToAMissingTopic: the topic is not created.
func TestEventsToAMissingTopic(t *testing.T) {
	t.Parallel()
	p, _, _ := newEventProducer(t, startKfake(t).Addr(), "mistyped")
	events := make([]outbox.Event, 50)
	for i := range events {
		events[i] = courierEvent("a", int64(i+1))
	}
	err := p.Publish(t.Context(), events)
	if !errors.Is(err, sarama.ErrUnknownTopicOrPartition) || !strings.Contains(err.Error(), "KAFKA_ASSIGNMENT_TOPIC") {
		t.Errorf("Publish: %v", err)
	}
}

// TestTopicOfEventsIsInspected: doctor names what prevents publishing.
func TestTopicOfEventsIsInspected(t *testing.T) { inspectsEvents(t, startKfake(t).Addr()) }

func TestTopicOfEventsOnRealKafka(t *testing.T) {
	b := realkafka.Require(t, realkafka.Options{})
	if err := b.CreateTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	inspectsEvents(t, b.Addr())
}

func inspectsEvents(t *testing.T, addr string) {
	t.Helper()
	got, err := InspectEvents(t.Context(), Config{Brokers: []string{addr}, Topic: topic})
	if want := (EventTopic{Partitions: partitions, CleanupPolicy: "delete"}); err != nil || got != want || got.Compacted() {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	_, err = InspectEvents(t.Context(), Config{Brokers: []string{addr}, Topic: "mistyped"})
	if !errors.Is(err, sarama.ErrUnknownTopicOrPartition) || !strings.Contains(err.Error(), "KAFKA_ASSIGNMENT_TOPIC") {
		t.Errorf("a missing topic: %v", err)
	}
}

// TestEventsNeedOnlyWRITE on their topic, also with SASL.
func TestEventsNeedOnlyWRITE(t *testing.T) {
	k := kfakeWith(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.User("SCRAM-SHA-512", "u", "p", kfake.ACL{
		Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationWrite, Allow: true,
	}))
	p, c, _ := newEventProducer(t, k.ListenAddrs()[0], topic)
	p.cfg.Security = Security{Mechanism: "SCRAM-SHA-512", Username: "u", Password: "p"}
	if err := p.Publish(t.Context(), []outbox.Event{courierEvent("a", 1)}); err != nil || c.published != 1 {
		t.Errorf("%d events published, %v; want 1", c.published, err)
	}
}

// TestTopicOfEventsMayNotBeWritten, or has no leader.
func TestTopicOfEventsMayNotBeWritten(t *testing.T) {
	served := &sarama.PartitionMetadata{Leader: 1}
	for name, c := range map[string]struct {
		topic sarama.TopicMetadata
		want  string
	}{
		"read only":                      {sarama.TopicMetadata{TopicAuthorizedOperations: 1 << sarama.AclOperationRead, Partitions: []*sarama.PartitionMetadata{served}}, "not authorized"},
		"not even described":             {sarama.TopicMetadata{Err: sarama.ErrTopicAuthorizationFailed}, "not authorized"},
		"no leader":                      {sarama.TopicMetadata{TopicAuthorizedOperations: 1 << sarama.AclOperationWrite, Partitions: []*sarama.PartitionMetadata{served, {ID: 4, Leader: -1}}}, "partition 4"},
		"the broker names no operations": {sarama.TopicMetadata{TopicAuthorizedOperations: math.MinInt32, Partitions: []*sarama.PartitionMetadata{served}}, ""},
	} {
		err := eventTopicProblem(&c.topic)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestPublishingEndsWithItsContext: a broker that hangs does not hold the shutdown.
func TestPublishingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	k := startKfake(t)
	p, _, _ := newEventProducer(t, k.Addr(), topic)
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	k.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cancel()
		k.Cluster().SleepControl(func() { <-release })
		return nil, nil, false
	})
	if err := p.Publish(ctx, []outbox.Event{courierEvent("a", 1)}); !errors.Is(err, errNotAcknowledged) {
		t.Errorf("Publish: %v, want errNotAcknowledged", err)
	}
}
