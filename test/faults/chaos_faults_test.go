package faults

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/test/faults/wire"
)

// replicaFaults are faults of a replica.
func (c *chaos) replicaFaults() []fault {
	mortal := func(luck *rand.Rand) *replica { return &c.replicas[1+luck.IntN(len(c.replicas)-1)] }
	return []fault{
		{"kill -9 of a replica", func(luck *rand.Rand) func() {
			r := mortal(luck)
			c.group.leave(*r)
			c.must(r.Kill())
			return func() { *r = c.newReplica() }
		}},
		{"SIGTERM of a replica", func(luck *rand.Rand) func() {
			r := mortal(luck)
			c.stopInStorm(*r)
			return func() { *r = c.newReplica() }
		}},
		{"SIGSTOP of a replica", func(luck *rand.Rand) func() {
			r := c.replicas[luck.IntN(len(c.replicas))]
			c.must(r.Signal(syscall.SIGSTOP))
			return func() { c.must(r.Signal(syscall.SIGCONT)) }
		}},
		{"a fourth replica starts", func(*rand.Rand) func() {
			r := c.newReplica()
			return func() { c.stopInStorm(r) }
		}},
		{"all lose their membership", func(*rand.Rand) func() {
			// A real broker answers joining members; the embedded one forgets them.
			if c.stable(len(c.group.all())) {
				c.expel()
			}
			return nil
		}},
	}
}

// orderServiceFaults are faults of service-order and of the connection to it.
func (c *chaos) orderServiceFaults() []fault {
	answering := func(name string, h func(luck *rand.Rand) http.HandlerFunc) fault {
		return fault{name, func(luck *rand.Rand) func() {
			c.front.fail(h(luck))
			return c.front.heal
		}}
	}
	always := func(h http.HandlerFunc) func(*rand.Rand) http.HandlerFunc {
		return func(*rand.Rand) http.HandlerFunc { return h }
	}
	faults := []fault{
		{"service-order refuses", func(*rand.Rand) func() { c.front.refuse(); return c.front.heal }},
		answering("service-order hangs", always(c.front.hang)),
		answering("service-order drips", always(c.front.drip)),
		answering("another server answers", always(http.NotFound)),
		answering("service-order answers 503", always(status(http.StatusServiceUnavailable))),
		answering("service-order fails for some orders", c.failsForSome),
		answering("service-order's connections break", always(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })),
		answering("service-order's answers are old on arrival", always(c.stale)),
	}
	if c.resyncing {
		faults = append(faults, answering("service-order has lost its state", always(notFound)))
	}
	return faults
}

// failsForSome answers 500 for the orders whose id ends with the same digit.
func (c *chaos) failsForSome(luck *rand.Rand) http.HandlerFunc {
	const hex = "0123456789abcdef"
	unlucky := hex[luck.IntN(len(hex))]
	return func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path[len(r.URL.Path)-1] == unlucky {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		c.sim.Handler().ServeHTTP(rw, r)
	}
}

// stale delays answers by up to a third of a second.
func (c *chaos) stale(rw http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	c.sim.Handler().ServeHTTP(answer, r)
	select {
	case <-r.Context().Done():
	case <-time.After(time.Duration(rand.Int64N(int64(time.Second / 3)))):
	}
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

// postgresFaults are faults of the database and of the connection to it.
func (c *chaos) postgresFaults() []fault {
	lost := func(answer, cut bool) func(luck *rand.Rand) func() {
		return func(luck *rand.Rand) func() {
			c.wire.Lay(wire.Trap{Text: wire.Commit, Skip: luck.Int64N(5), Answer: answer, Cut: cut})
			return nil
		}
	}
	return []fault{
		{"PostgreSQL crashes", func(*rand.Rand) func() {
			c.pg.Kill()
			return func() { c.check(c.pg.Restart(context.WithoutCancel(c.Context()))) }
		}},
		{"PostgreSQL ends every session", func(*rand.Rand) func() {
			c.try(endSessions)
			return nil
		}},
		{"another session locks the couriers", func(*rand.Rand) func() { return c.lock("couriers") }},
		{"another session locks the orders", func(*rand.Rand) func() { return c.lock("orders") }},
		{"a COMMIT's answer is lost", lost(true, true)},
		{"a COMMIT's answer hangs", lost(true, false)},
		{"a COMMIT hangs and is rolled back", lost(false, false)},
	}
}

// try runs a statement, which may fail because of another fault.
func (c *chaos) try(sql string) {
	if _, err := c.pool.Exec(c.Context(), sql); err != nil {
		c.logf("%s: %v", sql, err)
	}
}

// lock locks a whole table.
func (c *chaos) lock(table string) (release func()) {
	tx, err := c.pool.Begin(c.Context())
	if err != nil {
		c.logf("lock %s: %v", table, err)
		return nil
	}
	if _, err := tx.Exec(c.Context(), "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		c.logf("lock %s: %v", table, err)
	}
	return func() { _ = tx.Rollback(context.WithoutCancel(c.Context())) } // a broken connection has released it already
}

// kafkaFaults are faults of the broker and of the group.
func (c *chaos) kafkaFaults() []fault {
	cluster := c.kafka.Cluster()
	refuse := func(name string, err *kerr.Error, keys ...kmsg.Key) fault {
		return fault{name, func(luck *rand.Rand) func() {
			cluster.Fault(kfake.Fault{Keys: keys, Err: err, Count: 1 + luck.IntN(4)})
			return nil
		}}
	}
	return []fault{
		{"the coordinator moves", func(*rand.Rand) func() { cluster.RehashCoordinators(); return nil }},
		{"the leaders move", func(*rand.Rand) func() { cluster.ShufflePartitionLeaders(); return nil }},
		{"connections break at a commit of offsets", func(luck *rand.Rand) func() {
			left := 1 + luck.IntN(4)
			cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
				if left == 0 {
					cluster.DropControl()
					return nil, nil, false
				}
				left--
				cluster.KeepControl()
				return nil, io.ErrUnexpectedEOF, true
			})
			return nil
		}},
		{"events of the outbox are refused", func(luck *rand.Rand) func() {
			refused := anyOf(luck, kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.TopicAuthorizationFailed)
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: eventTopic, Err: refused, Count: 1 + luck.IntN(4)})
			return nil
		}},
		refuse("requests of the group are refused", kerr.NotCoordinator, kmsg.OffsetCommit, kmsg.Heartbeat, kmsg.JoinGroup),
		refuse("the group is loading", kerr.CoordinatorLoadInProgress, kmsg.OffsetFetch, kmsg.JoinGroup, kmsg.SyncGroup),
		refuse("a rebalance is called", kerr.RebalanceInProgress, kmsg.Heartbeat),
		refuse("fetches are refused", kerr.NotLeaderForPartition, kmsg.Fetch),
		refuse("offsets are out of range", kerr.OffsetOutOfRange, kmsg.Fetch),
	}
}
