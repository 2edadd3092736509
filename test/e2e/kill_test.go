package e2e

import (
	"context"
	"fmt"
	"net/url"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/devstack/pgtest"
	"service-courier/test/faults/wire"
	"service-courier/test/realkafka"
)

// crash is a service with proxies before what it needs.
type crash struct {
	*stack
	broker           *realkafka.Broker
	database, orders *wire.Wire
}

// moments are those of a batch at which the service is killed. Each returns when
// a batch stands there.
var moments = []struct {
	name  string
	stand func(c *crash, skip int64) (stands func())
}{
	{"before the GET", func(c *crash, skip int64) func() {
		return c.springs(c.orders.Lay(wire.Trap{Text: "GET " + orderPath, Skip: skip}))
	}},
	{"before the transaction", func(c *crash, skip int64) func() {
		return c.springs(c.database.Lay(wire.Trap{Text: wire.Begin, Skip: skip}))
	}},
	{"after COMMIT", func(c *crash, skip int64) func() {
		return c.springs(c.database.Lay(wire.Trap{Text: wire.Commit, Skip: skip, Answer: true}))
	}},
	{freezes, func(c *crash, _ int64) func() { return c.brokerFreezes }},
}

const (
	freezes   = "before the offset commit"
	orderPath = "/public/api/v1/order/"
)

// killAtEachMoment kills the service twice at each moment of a batch. Started
// again, it must come to the truth by what Kafka hands out again: service-order's
// list breaks off, so that no sweep hides a loss.
func killAtEachMoment(t *testing.T, broker *realkafka.Broker) {
	t.Helper()
	for _, moment := range moments {
		for skip := range int64(2) {
			t.Run(fmt.Sprintf("%s %d", moment.name, skip), func(t *testing.T) {
				if moment.name != freezes { // which stops the broker for everybody
					t.Parallel()
				}
				c := newCrash(t, broker)
				first := c.serveBehindProxies()
				c.eventually("the service is ready", c.ready)
				stands := moment.stand(c, skip)
				strolling := c.stroll(60, 60, 0.3)
				stands()
				if err := first.Kill(); err != nil {
					t.Fatal(err)
				}
				if moment.name == freezes {
					c.resume()
				}
				c.expel()
				c.serveBehindProxies()
				// Orders may complete while nobody watches: those have no delivery.
				c.ends(strolling.wait(), true)
			})
		}
	}
}

func newCrash(t *testing.T, broker *realkafka.Broker) *crash {
	t.Helper()
	s := newStack(t, broker.Addr(), pgtest.NewDatabase(t, nil))
	if err := broker.CreateTopic(t.Context(), s.topic, partitions); err != nil {
		t.Fatal(err)
	}
	s.migrate()
	s.couriers(80)
	s.serviceOrder("--time-scale", "2000", "--seed", "3")
	u, err := url.Parse(s.database)
	if err != nil {
		t.Fatal(err)
	}
	return &crash{s, broker, wire.New(t, u.Host, ""), wire.New(t, s.orderAddr, "GET /public/api/v1/orders?")}
}

func (c *crash) serveBehindProxies() instance {
	c.Helper()
	u, err := url.Parse(c.stack.database)
	if err != nil {
		c.Fatal(err)
	}
	u.Host = c.database.Addr()
	return c.serve("DATABASE_URL="+u.String(), "ORDER_SERVICE_URL=http://"+c.orders.Addr())
}

func (c *crash) springs(sprung <-chan struct{}) func() {
	return func() {
		c.Helper()
		c.eventually("a batch stands there", func() error {
			select {
			case <-sprung:
				return nil
			default:
				return fmt.Errorf("none does")
			}
		})
	}
}

// brokerFreezes stops the broker when something was saved whose offset is not
// committed: commits come a second apart.
func (c *crash) brokerFreezes() {
	c.Helper()
	client := c.client()
	c.eventually("something is saved and not committed", func() error {
		committed := c.committed(client)
		if err := c.broker.Pause(); err != nil {
			c.Fatal(err)
		}
		for p, saved := range c.saved() {
			if saved > committed[p] {
				return nil
			}
		}
		c.resume()
		return fmt.Errorf("all that is saved is committed")
	})
}

func (c *crash) resume() {
	c.Helper()
	if err := c.broker.Resume(); err != nil {
		c.Fatal(err)
	}
}

// expel takes the dead member out of the group, as the end of its session would
// after seconds.
func (c *crash) expel() {
	c.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.kafka))
	if err != nil {
		c.Fatal(err)
	}
	defer client.Close()
	c.eventually("the group is empty", func() error { return expelAll(c.Context(), client, c.group) })
}

func expelAll(ctx context.Context, client *kgo.Client, group string) error {
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{group}
	described, err := describe.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = group
	for _, m := range described.Groups[0].Members {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = m.MemberID
		leave.Members = append(leave.Members, member)
	}
	if len(leave.Members) == 0 {
		return nil
	}
	if _, err := leave.RequestWith(ctx, client); err != nil {
		return err
	}
	return fmt.Errorf("%d members were in it", len(leave.Members))
}
