package e2e

import (
	"context"
	"encoding/json"
	"net/url"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/test/faults/wire"
	"service-courier/test/realkafka"
)

const (
	listenFront  = "FRONT"
	publishedNew = `"event_id"` // in the requests that publish events, and in no other
	// storePosition ends with the number of the parameters' types, which are sent when the
	// statement is run and not when it is described.
	storePosition = "UPDATE outbox SET published_id = $2 WHERE published_id = $1\x00\x00\x02"
)

// publishingMoments are those at which a replica that publishes is killed.
var publishingMoments = []struct {
	name     string
	kafka    bool // the trap is before Kafka, else before PostgreSQL
	trap     wire.Trap
	repeated bool // the next run publishes events again
}{
	{name: "before the journal is read", trap: wire.Trap{Text: "FROM journal j"}},
	{name: "before the events are sent", kafka: true, trap: wire.Trap{Text: publishedNew}},
	{name: "sent and not acknowledged", kafka: true, trap: wire.Trap{Text: publishedNew, Answer: true}, repeated: true},
	{name: "before the position is stored", trap: wire.Trap{Text: storePosition}, repeated: true},
	{name: "after the position is stored", trap: wire.Trap{Text: storePosition, Answer: true}},
}

// killWhilePublishing: the next run publishes everything that the killed one has not,
// again what may be published, and an order's events in order.
func killWhilePublishing(t *testing.T, broker *realkafka.Broker, front string) {
	t.Helper()
	for _, moment := range publishingMoments {
		t.Run(moment.name, func(t *testing.T) {
			settings := []string{"KAFKA_BROKERS=" + broker.Addr()}
			var proxy *wire.Wire
			if moment.kafka {
				proxy = wire.At(t, front, broker.Listener(listenFront), "") // one at a time
				settings = []string{"KAFKA_BROKERS=" + front}
			} else {
				t.Parallel()
			}
			c := newProxied(t, broker)
			if !moment.kafka {
				proxy = c.database
				c.unprepared()
			}
			topic := c.topic + ".events"
			if err := broker.CreateTopic(t.Context(), topic, partitions); err != nil {
				t.Fatal(err)
			}
			settings = append(settings, "KAFKA_ASSIGNMENT_TOPIC="+topic)
			first := c.serveBehindProxies(settings...)
			c.eventually("the service is ready", c.ready)
			c.eventually("the outbox has begun", func() error { return want(int64(1), c.count("select count(*) from outbox")) })
			sprung := c.waitTrap(proxy.Lay(moment.trap))
			orders := c.steady(60, 60, nil)
			sprung()
			if err := first.Kill(); err != nil {
				t.Fatal(err)
			}
			c.removeMembers()
			c.serveBehindProxies(settings...)
			c.waitEnded(orders.wait(), true)
			c.eventually("everything is published", func() error {
				return want(int64(0), c.count("select count(*) from journal where id > (select published_id from outbox)"))
			})
			repeated := c.checkPublished(topic)
			t.Logf("%d events are published twice", repeated)
			if (repeated > 0) != moment.repeated {
				t.Errorf("%d events are published twice", repeated)
			}
		})
	}
}

// unprepared lets the service send the text of a statement whenever it runs it, not only
// when it prepares it.
func (c *proxied) unprepared() {
	c.Helper()
	u, err := url.Parse(c.stack.database)
	if err != nil {
		c.Fatal(err)
	}
	query := u.Query()
	query.Set("default_query_exec_mode", "cache_describe")
	u.RawQuery = query.Encode()
	c.stack.database = u.String()
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
