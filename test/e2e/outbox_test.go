package e2e

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/test/faults/wire"
	"service-courier/test/realkafka"
)

// publishingMoments are those at which a replica that publishes is killed.
var publishingMoments = []struct {
	name string
	trap wire.Trap
}{
	{"before the journal is read", wire.Trap{Text: "FROM journal j"}},
	{"before the position is stored", wire.Trap{Text: "UPDATE outbox SET published_id"}},
	{"after the position is stored", wire.Trap{Text: "UPDATE outbox SET published_id", Answer: true}},
}

// killWhilePublishing: the next run publishes everything that the killed one has not,
// again what may be published, and an order's events in order.
func killWhilePublishing(t *testing.T, broker *realkafka.Broker) {
	t.Helper()
	for _, moment := range publishingMoments {
		t.Run(moment.name, func(t *testing.T) {
			t.Parallel()
			c := newProxied(t, broker)
			topic := c.topic + ".events"
			if err := broker.CreateTopic(t.Context(), topic, partitions); err != nil {
				t.Fatal(err)
			}
			first := c.serveBehindProxies("KAFKA_ASSIGNMENT_TOPIC=" + topic)
			c.eventually("the service is ready", c.ready)
			c.eventually("the outbox has begun", func() error { return want(int64(1), c.count("select count(*) from outbox")) })
			sprung := c.waitTrap(c.database.Lay(moment.trap))
			orders := c.steady(60, 60, nil)
			sprung()
			if err := first.Kill(); err != nil {
				t.Fatal(err)
			}
			c.removeMembers()
			c.serveBehindProxies("KAFKA_ASSIGNMENT_TOPIC=" + topic)
			c.waitEnded(orders.wait(), true)
			c.eventually("everything is published", func() error {
				return want(int64(0), c.count("select count(*) from journal where id > (select published_id from outbox)"))
			})
			t.Logf("%d events are published twice", c.checkPublished(topic))
		})
	}
}

// checkPublished reads the topic of the outbox to its present end. Every transition of the
// journal must be there, an order's in order, and nothing else. It returns how many events are repeated.
func (c *proxied) checkPublished(topic string) (repeated int) {
	c.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.kafka), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		c.Fatal(err)
	}
	defer client.Close()
	transitions := c.count("select count(*) from journal")
	seen, latest := make(map[int64]string), make(map[string]int64)
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	for int64(len(seen)) < transitions {
		fetched := client.PollFetches(ctx)
		if ctx.Err() != nil {
			c.Fatalf("%d of %d transitions are published", len(seen), transitions)
		}
		fetched.EachRecord(func(r *kgo.Record) {
			var e struct {
				OrderID  string `json:"order_id"`
				Sequence int64  `json:"sequence"`
			}
			if err := json.Unmarshal(r.Value, &e); err != nil {
				c.Fatal(err)
			}
			_, again := seen[e.Sequence]
			switch {
			case again:
				repeated++
			case e.Sequence < latest[e.OrderID]:
				c.Errorf("%s: %d comes after %d", e.OrderID, e.Sequence, latest[e.OrderID])
			default:
				latest[e.OrderID] = e.Sequence
			}
			seen[e.Sequence] = e.OrderID
		})
	}
	for sequence, order := range seen {
		if n := c.count("select count(*) from journal where id = $1 and order_id = $2", sequence, order); n != 1 {
			c.Errorf("event %d of %s is not in the journal", sequence, order)
		}
	}
	return repeated
}
