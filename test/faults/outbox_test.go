package faults

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/config"
	"service-courier/internal/courier"
)

// eventTopic is the topic of the outbox.
const eventTopic = "courier.assignment.changed"

func publishing(c *config.Config) { c.KafkaAssignmentTopic = eventTopic }

// published is an event of the outbox.
type published struct {
	Type     string `json:"type"`
	OrderID  string `json:"order_id"`
	Sequence int64  `json:"sequence"`
}

// publishedEvents reads the topic of the outbox until it has all transitions of the journal, and
// holds that no event precedes an earlier one of its order, except a repeated one.
func (w *world) publishedEvents() (events []published, repeated int) {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.ConsumeTopics(eventTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	w.must(err)
	defer client.Close()
	seen, latest := make(map[int64]bool), make(map[string]int64)
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	for len(seen) < w.count("SELECT count(*) FROM journal") {
		fetched := client.PollFetches(ctx)
		if ctx.Err() != nil {
			w.Fatalf("%d of %d transitions are published", len(seen), w.count("SELECT count(*) FROM journal"))
		}
		fetched.EachRecord(func(r *kgo.Record) {
			var e published
			w.must(json.Unmarshal(r.Value, &e))
			switch {
			case string(r.Key) != e.OrderID:
				w.Errorf("the key of %+v is %s", e, r.Key)
			case seen[e.Sequence]:
				repeated++
				return
			case e.Sequence < latest[e.OrderID]:
				w.Errorf("%+v comes after %d", e, latest[e.OrderID])
			}
			seen[e.Sequence], latest[e.OrderID] = true, e.Sequence
			events = append(events, e)
		})
	}
	if n := w.count("SELECT count(*) FROM journal WHERE id = ANY ($1)", sequences(events)); n != len(events) {
		w.Errorf("%d of %d events are in the journal", n, len(events))
	}
	return events, repeated
}

func sequences(events []published) (ids []int64) {
	for _, e := range events {
		ids = append(ids, e.Sequence)
	}
	return ids
}

// TestTransitionsArePublished: two replicas publish every transition, once, an order's in
// order. One of them is killed, and the other goes on within seconds.
func TestTransitionsArePublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	first, second := w.spawn(publishing), w.spawn(publishing)
	w.eventually("the outbox begins", func() bool { return w.count("SELECT count(*) FROM outbox") == 1 })
	ids := w.create(20)
	w.eventually("they are assigned", func() bool { return w.inState(courier.StateAssigned) == 20 })
	w.setStatus("completed", ids[:10]...)
	w.delete(ids[10])
	w.converges()
	events, repeated := w.publishedEvents()
	if repeated > 0 {
		t.Errorf("%d events are published twice without a fault", repeated)
	}
	types := make(map[string]int)
	for _, e := range events {
		types[e.Type]++
	}
	if types["queued"] != 20 || types["assigned"] < 20 || types["completed"] != 10 || types["cancelled"] != 1 {
		t.Errorf("published %v", types)
	}
	for _, killed := range []replica{first, second} {
		w.must(killed.Kill())
		if killed == second {
			w.spawn(publishing)
		}
		killedAt := time.Now()
		w.create(5)
		w.eventually("the events of the others are published", func() bool {
			return w.count("SELECT count(*) FROM journal WHERE id > (SELECT published_id FROM outbox)") == 0 &&
				w.count("SELECT count(*) FROM orders") >= len(ids)+5
		})
		t.Logf("published %v after the kill", time.Since(killedAt))
		ids = append(ids, make([]string, 5)...)
	}
	w.publishedEvents()
}

// TestOneReplicaPublishesAtATime: while one waits for an acknowledgement, another leaves the
// same events alone, and nothing is published twice.
func TestOneReplicaPublishesAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.serve(publishing)
	w.eventually("the outbox begins", func() bool { return w.count("SELECT count(*) FROM outbox") == 1 })
	var requests atomic.Int64
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	w.kafka.Cluster().ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.kafka.Cluster().KeepControl()
		topics := r.(*kmsg.ProduceRequest).Topics
		if len(topics) > 0 && topics[0].Topic == eventTopic && requests.Add(1) == 1 {
			w.kafka.Cluster().SleepControl(func() { <-held })
		}
		return nil, nil, false
	})
	w.create(5)
	w.eventually("an acknowledgement is late", func() bool { return requests.Load() == 1 })
	w.serve(publishing)
	w.eventually("the other replica leaves them alone", func() bool {
		return requests.Load() > 1 || w.metric("courier_task_runs_total", `result="skipped",task="outbox"`) >= 3
	})
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, want the first one alone", n)
	}
	release()
	w.converges()
	if events, repeated := w.publishedEvents(); repeated > 0 {
		t.Errorf("%d of %d events are published twice", repeated, len(events))
	}
}

// TestTopicOfTheOutboxIsAway: nothing is lost, and order events go on, while events cannot
// be published.
func TestTopicOfTheOutboxIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	stop := w.serve(func(c *config.Config) { c.KafkaAssignmentTopic = "mistyped" })
	w.eventually("the outbox begins", func() bool { return w.count("SELECT count(*) FROM outbox") == 1 })
	w.create(10)
	w.eventually("they are assigned", func() bool { return w.inState(courier.StateAssigned) == 10 })
	w.eventually("the outage is logged", func() bool { return w.logs.times("KAFKA_ASSIGNMENT_TOPIC") == 1 })
	stop()
	w.serve(publishing)
	if events, _ := w.publishedEvents(); len(events) != 20 {
		t.Errorf("%d events, want 20", len(events))
	}
}
