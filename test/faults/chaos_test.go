//go:build chaos

package faults

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/internal/devstack"
	"service-courier/internal/ordersim"
	"service-courier/internal/storage/postgres"
	"service-courier/test/faults/wire"
)

var soak = flag.Duration("soak", 10*time.Second, "how long TestChaos goes on, to the end of the round at hand")

const (
	stormLasts = 15 * time.Second
	// convergeWithin is the published time: a killed member is noticed, the
	// rebalance ends, the backlog is read, two sweeps.
	convergeWithin = time.Minute
	chaosCouriers  = 25
	maxRSS         = 100 << 20 // bytes a replica
	maxCouriers    = 2 << 20   // bytes of the table, for rows that change all the time
	maxOrder       = 1 << 10   // bytes of table an order
)

// TestChaos lets faults of every kind fall at random upon three replicas, round
// after round: a storm, in which several are in force at once, and then a calm,
// in which everything must come right by itself. `make chaos` runs it for as long
// as one likes.
//
// In every other round nothing is lost and service-order lists nothing, so that
// events alone must do. In the rounds between, events of what was created or
// completed are lost, service-order forgets for a while, and the sweep must find
// what is wrong. A seed gives the same faults again, not the same timing.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	w, pg := newWorldWithOwnServer(t, chaosCouriers, func(c *ordersim.Config) {
		c.DuplicateShare, c.PublishDelay, c.Seed = 0.3, 2*time.Second, seed
	})
	_, _, err := w.kafka.Cluster().AddNode(-1, 0) // coordinator and leaders need a place to move to
	w.must(err)
	c := &chaos{world: w, pg: pg, wire: w.wire(), began: time.Now(), orders: orders{world: w}, poison: make(map[string]bool)}
	c.producer, err = kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.DefaultProduceTopic(topic))
	w.must(err)
	t.Cleanup(c.producer.Close)
	for i := range c.replicas {
		c.replicas[i] = c.newReplica()
	}
	for round := uint64(1); round == 1 || time.Since(c.began) < *soak; round++ {
		c.sweeping = round%2 == 0
		w.front.unlisted.Store(!c.sweeping)
		c.storm(seed, round)
		c.calm(round)
	}
	for _, r := range c.replicas {
		w.check(r.Stop(10 * time.Second))
	}
}

// chaos is the world with what may break in it.
type chaos struct {
	*world
	pg       *devstack.Postgres
	wire     *wire.Wire // to PostgreSQL
	replicas [3]replica
	began    time.Time
	sweeping bool // in this round

	producer *kgo.Client
	orders   orders
	poison   map[string]bool // records that must become dead letters, and nothing else
}

func (c *chaos) newReplica() replica {
	c.Helper()
	return c.spawn(through(c.wire), sweepEvery(time.Second))
}

// tell writes the history of the run, which a failed test prints.
func (c *chaos) tell(format string, args ...any) {
	c.Logf("%7.2fs %s", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...))
}

// storm makes faults and traffic for a while. Kinds of faults overlap; of one
// kind there is one at a time.
func (c *chaos) storm(seed, round uint64) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), min(stormLasts, *soak))
	defer cancel()
	var lanes sync.WaitGroup
	defer lanes.Wait()
	luck := func(lane uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, round<<8|lane)) }
	c.orders.luck = luck(0)
	lanes.Go(func() { c.traffic(ctx) })
	for i, faults := range [][]fault{c.orderServiceFaults(), c.postgresFaults(), c.kafkaFaults()} {
		lanes.Go(func() { c.strike(ctx, luck(uint64(i)+1), faults) })
	}
	c.strike(ctx, luck(9), c.replicaFaults()) // here, for it starts processes, and may end the test
}

// fault breaks something, and returns what mends it.
type fault struct {
	name   string
	strike func(luck *rand.Rand) (heal func())
}

func (c *chaos) strike(ctx context.Context, luck *rand.Rand, faults []fault) {
	c.Helper()
	for !c.Failed() {
		if !between(ctx, luck, 0, time.Second) {
			return
		}
		f := faults[luck.IntN(len(faults))]
		c.tell("%s", f.name)
		heal := f.strike(luck)
		between(ctx, luck, 200*time.Millisecond, 3*time.Second)
		if heal != nil {
			heal()
			c.tell("%s: over", f.name)
		}
	}
}

// between lets a random time pass, and reports whether it did so in full.
func between(ctx context.Context, luck *rand.Rand, least, most time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(least + time.Duration(luck.Int64N(int64(most-least)))):
		return true
	}
}

// traffic is some hundred changes a second, of more orders than there are couriers.
func (c *chaos) traffic(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.change(ctx); err != nil {
			c.check(err)
			return
		}
	}
}

// change changes an order, or says something untrue or unreadable.
func (c *chaos) change(ctx context.Context) error {
	o, luck := &c.orders, c.orders.luck
	lost := c.sweeping && luck.IntN(10) == 0
	switch dice := luck.IntN(100); {
	case len(o.open) < chaosCouriers || dice < 40 && len(o.open) < 2*chaosCouriers:
		return c.losing(lost, func() error {
			created, err := c.sim.Create()
			o.open = append(o.open, created.ID)
			return err
		})
	case dice < 60:
		return c.losing(lost, func() error { return c.sim.SetStatus(o.pick(), ordersim.StatusCompleted) })
	case dice < 75:
		return c.sim.Delete(o.pick()) // its event is never lost: that is for a person
	case dice < 90:
		c.sim.Emit(o.open[luck.IntN(len(o.open))], anyOf(luck, "created", "cooking", "completed", "delivered", "nonsense"))
	case dice < 98 && len(o.over) > 0:
		// No "deleted": it would be believed while service-order is forgetful.
		c.sim.Emit(o.over[luck.IntN(len(o.over))], anyOf(luck, "created", "delivering", "completed"))
	default:
		value := fmt.Sprintf(anyOf(luck, `{"order_id":"../%d"}`, `{"order_id":%d}`, `%d`, `{"order_id":"\u0000%d"`), luck.Uint64())
		c.poison[value] = true
		// The storm's end must not leave it open whether the record is there.
		record := &kgo.Record{Value: []byte(value)}
		return c.producer.ProduceSync(context.WithoutCancel(ctx), record).FirstErr()
	}
	return nil
}

// losing loses the events of a change.
func (c *chaos) losing(lost bool, change func() error) error {
	c.sim.Mute(lost)
	defer c.sim.Mute(false)
	return change()
}

func anyOf(luck *rand.Rand, texts ...string) string { return texts[luck.IntN(len(texts))] }

// calm waits until everything has come right, and checks every promise.
func (c *chaos) calm(round uint64) {
	c.Helper()
	began := time.Now()
	c.pool.Reset() // connections that a fault has broken
	c.eventually("PostgreSQL answers", func() bool { return c.pool.Ping(c.Context()) == nil })
	for polls := 0; ; polls++ {
		// An order that could not be asked for may be put off by minutes, and a
		// killed replica's look by half of one: here they are due each second.
		if polls%20 == 0 {
			c.try(dueNow)
		}
		wrong := c.disagreements()
		if len(wrong) == 0 {
			break
		}
		if time.Since(began) > convergeWithin {
			c.Fatalf("not the truth %v after the storm: %s", convergeWithin, strings.Join(wrong, "\n"))
		}
		passes(50 * time.Millisecond)
	}
	took := time.Since(began)
	c.allCommitted()
	c.sound()
	c.nothingTwice()
	c.onlyPoisonIsDead()
	c.bounded()
	c.tell("round %d: %d orders, %d dead letters; calm after %.1f s", round, len(c.orders.open)+len(c.orders.over), len(c.poison), took.Seconds())
	if c.Failed() {
		c.FailNow()
	}
}

// onlyPoisonIsDead fails unless the dead letters are exactly what can never be
// processed, each once.
func (c *chaos) onlyPoisonIsDead() {
	c.Helper()
	rows, err := c.pool.Query(c.Context(), "SELECT convert_from(payload, 'UTF8') FROM dead_letters")
	c.must(err)
	defer rows.Close()
	letters := 0
	for rows.Next() {
		var payload string
		c.must(rows.Scan(&payload))
		if letters++; !c.poison[payload] {
			c.Errorf("a dead letter that should have been processed: %s", payload)
		}
	}
	c.must(rows.Err())
	if letters != len(c.poison) {
		c.Errorf("%d dead letters, want %d", letters, len(c.poison))
	}
}

// bounded fails when a replica's memory or a table has grown out of proportion.
// The tables are weighed, for a crash makes PostgreSQL forget its dead rows' number.
func (c *chaos) bounded() {
	c.Helper()
	for _, r := range c.replicas {
		if rss := c.residentMemory(r.Pid()); rss > maxRSS {
			c.Errorf("replica %d has %d MiB in memory", r.Pid(), rss>>20)
		}
	}
	if size := c.count("SELECT pg_relation_size('couriers')"); size > maxCouriers {
		c.Errorf("%d couriers fill %d kB", chaosCouriers, size>>10)
	}
	orders := c.count("SELECT count(*) FROM orders")
	if size := c.count("SELECT pg_relation_size('orders')"); size > maxCouriers+orders*maxOrder {
		c.Errorf("%d orders fill %d kB", orders, size>>10)
	}
}

func (c *chaos) residentMemory(pid int) (bytes int) {
	c.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	c.must(err)
	var total, resident int
	_, err = fmt.Sscan(string(statm), &total, &resident)
	c.must(err)
	return resident * os.Getpagesize()
}

// neverAtAnyMoment fails on a broken promise that holds even while everything
// is broken: nobody is double-booked, whatever happens.
func (c *chaos) neverAtAnyMoment() {
	c.Helper()
	violations, err := postgres.CheckInvariants(c.Context(), c.pool)
	if err != nil {
		return // PostgreSQL may be what is broken
	}
	for _, v := range violations {
		if !strings.HasPrefix(v.Promise, "order waits") { // which is for a service that runs
			c.Errorf("%s: %s", v.Promise, v.Who)
		}
	}
}
