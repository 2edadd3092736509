package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/dev/pgtest"
	"service-courier/test/faults/wire"
	"service-courier/test/realkafka"
)

// killUnderLoad: the next run reads the unsaved records again, and nothing is done twice.
// Marking records before they are saved loses hundreds of orders here, which the next
// resync would hide.
func killUnderLoad(s *stack) {
	s.couriers(300)
	s.serviceOrder("--time-scale", "250", "--duplicate-share", "0.2", "--publish-delay", "200ms", "--seed", "2")
	first := s.serve()
	s.eventually("the service is ready", s.ready)
	orders, rush := s.steady(200, 60, nil), s.rush(1500)
	s.eventually("the service processes orders", func() error {
		if n := s.count("select count(*) from orders"); n < 300 {
			return fmt.Errorf("%d orders", n)
		}
		return nil
	})
	if err := first.Kill(); err != nil {
		s.Fatal(err)
	}
	client := s.client()
	s.checkNothingLost(client, s.committed(client))
	s.serve()
	// Orders that complete while the service is down have no delivery.
	s.waitEnded(append(orders.wait(), rush.wait()...), true)
}

// proxied is a stack with proxies before PostgreSQL and service-order.
type proxied struct {
	*stack
	broker           *realkafka.Broker
	database, orders *wire.Wire
}

// moments of a batch at which the service is killed. prepare returns a function that waits
// for that moment.
var moments = []struct {
	name    string
	prepare func(c *proxied, skip int64) (wait func())
}{
	{"before the GET", func(c *proxied, skip int64) func() {
		return c.waitTrap(c.orders.Lay(wire.Trap{Text: "GET " + orderPath, Skip: skip}))
	}},
	{"before the transaction", func(c *proxied, skip int64) func() {
		return c.waitTrap(c.database.Lay(wire.Trap{Text: wire.Begin, Skip: skip}))
	}},
	{"after COMMIT", func(c *proxied, skip int64) func() {
		return c.waitTrap(c.database.Lay(wire.Trap{Text: wire.Commit, Skip: skip, Answer: true}))
	}},
	{beforeOffsetCommit, func(c *proxied, _ int64) func() { return c.pauseBroker }},
}

const (
	beforeOffsetCommit = "before the offset commit"
	orderPath          = "/public/api/v1/order/"
)

// killAtEachMoment kills the service twice at each moment of a batch. The next run must
// converge from the records that Kafka delivers again: the proxy breaks service-order's
// list, so that no resync hides a loss.
func killAtEachMoment(t *testing.T, broker *realkafka.Broker) {
	t.Helper()
	for _, moment := range moments {
		for skip := range int64(2) {
			t.Run(fmt.Sprintf("%s %d", moment.name, skip), func(t *testing.T) {
				if moment.name != beforeOffsetCommit { // which pauses the shared broker
					t.Parallel()
				}
				c := newProxied(t, broker)
				first := c.serveBehindProxies()
				c.eventually("the service is ready", c.ready)
				wait := moment.prepare(c, skip)
				orders := c.steady(60, 60, nil)
				wait()
				if err := first.Kill(); err != nil {
					t.Fatal(err)
				}
				if moment.name == beforeOffsetCommit {
					c.resume()
				}
				c.removeMembers()
				c.serveBehindProxies()
				// Orders that complete while the service is down have no delivery.
				c.waitEnded(orders.wait(), true)
			})
		}
	}
}

func newProxied(t *testing.T, broker *realkafka.Broker) *proxied {
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
	return &proxied{s, broker, wire.New(t, u.Host, ""), wire.New(t, s.orderAddr, "GET /public/api/v1/orders?")}
}

func (c *proxied) serveBehindProxies(settings ...string) instance {
	c.Helper()
	u, err := url.Parse(c.stack.database)
	if err != nil {
		c.Fatal(err)
	}
	u.Host = c.database.Addr()
	return c.serve(append(settings, "DATABASE_URL="+u.String(), "ORDER_SERVICE_URL=http://"+c.orders.Addr())...)
}

func (c *proxied) waitTrap(sprung <-chan struct{}) func() {
	return func() {
		c.Helper()
		c.eventually("a batch is at that moment", func() error {
			select {
			case <-sprung:
				return nil
			default:
				return errors.New("no batch yet")
			}
		})
	}
}

// pauseBroker pauses the broker when a saved record's offset is not committed; commits are
// a second apart.
func (c *proxied) pauseBroker() {
	c.Helper()
	client := c.client()
	c.eventually("a saved record is not committed", func() error {
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
		return errors.New("all saved records are committed")
	})
}

func (c *proxied) resume() {
	c.Helper()
	if err := c.broker.Resume(); err != nil {
		c.Fatal(err)
	}
}

// removeMembers removes the dead member from the group, as its session timeout would.
func (c *proxied) removeMembers() {
	c.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.kafka))
	if err != nil {
		c.Fatal(err)
	}
	defer client.Close()
	c.eventually("the group is empty", func() error { return leaveGroup(c.Context(), client, c.group) })
}

func leaveGroup(ctx context.Context, client *kgo.Client, group string) error {
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
	return fmt.Errorf("removed %d members", len(leave.Members))
}
