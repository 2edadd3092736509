package faults

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/devpostgres"
	"service-courier/internal/dev/ordersim"
	"service-courier/test/faults/wire"
)

var soak = flag.Duration("soak", 10*time.Second, "how long TestChaos runs, to the end of a round")

const (
	stormLasts = 15 * time.Second
	// convergenceTime bounds a calm. Most take some seconds.
	convergenceTime = 2 * time.Minute
	// joinWithin is how long the group may take before that time begins: the embedded
	// broker, unlike a real one, forgets a member that waits in a join for longer than a
	// session, and that client waits 30 s for the answer before it joins again.
	joinWithin = 4 * time.Minute
	// rejoinAfter is when all join again, in case that broker forgot several.
	rejoinAfter   = 45 * time.Second
	chaosCouriers = 25
)

// TestChaos injects random faults of every kind into three replicas, in rounds: a storm
// with several faults at once, and then a calm in which everything must converge. By
// default it runs one short round, in CI three minutes, with `make chaos` as long as you
// like.
//
// In odd rounds no event is lost and service-order lists nothing, so that the events alone
// must suffice. In even rounds created and completed events are lost, service-order loses
// its state for a while, and the resync must repair the rest. The outbox must publish every
// transition of all rounds, an order's in order, and nothing that was rolled back. A seed
// repeats the faults, not the timing.
//
// Three minutes find that records are marked before they are saved (tried: an order was
// lost in the second round) and that the ladder is removed (in the first).
func TestChaos(t *testing.T) {
	citest.Only(t, "random faults for 10 s or more")
	t.Parallel()
	seed := seedOf(t)
	w, pg := newWorldWithOwnServer(t, chaosCouriers, func(c *ordersim.Config) {
		c.DuplicateShare, c.PublishDelay, c.Seed = 0.3, 2*time.Second, seed
	})
	_, _, err := w.kafka.Cluster().AddNode(-1, 0) // so that coordinator and leaders can move
	w.must(err)
	c := &chaos{
		world: w, pg: pg, wire: w.wire(), began: time.Now(), orders: orders{world: w},
		poison: make(map[string]bool), group: replicaGroup{up: make(map[replica]string)},
	}
	for i := range c.replicas {
		c.replicas[i] = c.newReplica()
	}
	c.eventually("the outbox begins", func() bool { return c.count("SELECT count(*) FROM outbox") == 1 })
	defer c.watching()()
	for round := uint64(1); !t.Failed() && (round == 1 || time.Since(c.began) < *soak); round++ {
		c.resyncing = round%2 == 0
		w.front.unlisted.Store(!c.resyncing)
		c.storm(seed, round)
		c.calm(round)
	}
	for _, r := range c.replicas {
		c.stop(r)
	}
}

// chaos is a world with the parts that faults break.
type chaos struct {
	*world
	pg        *devpostgres.Server
	wire      *wire.Wire // to PostgreSQL
	replicas  [3]replica // the first lives as long as the test, so that a leak shows
	group     replicaGroup
	peaks     peaks
	began     time.Time
	resyncing bool // in this round

	orders orders
	poison map[string]bool // records that must become dead letters, and nothing else
}

// logf logs the history of the run.
func (c *chaos) logf(format string, args ...any) {
	c.Logf("%7.2fs %s", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...))
}

// storm runs faults and traffic for a while. Faults of different kinds overlap, those of
// one kind do not.
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
	c.strike(ctx, luck(9), c.replicaFaults()) // in this goroutine, since it may end the test
}

// fault breaks something and returns a function that repairs it, or nil.
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
		c.logf("%s", f.name)
		heal := f.strike(luck)
		between(ctx, luck, 200*time.Millisecond, 3*time.Second)
		if heal != nil {
			heal()
			c.logf("%s: over", f.name)
		}
	}
}

// between waits for a random time and reports whether ctx is still alive.
func between(ctx context.Context, luck *rand.Rand, least, most time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(least + time.Duration(luck.Int64N(int64(most-least)))):
		return true
	}
}

// calm waits until everything has converged and checks every invariant.
func (c *chaos) calm(round uint64) {
	c.Helper()
	began := time.Now()
	joined, rejoined := began, began // when the group was last seen unstable, and last made to join
	c.pool.Reset()                   // connections that a fault has broken
	c.eventually("PostgreSQL answers", func() bool { return c.pool.Ping(c.Context()) == nil })
	c.allPublished()
	for polls := 0; ; polls++ {
		// A failed fetch may be rechecked minutes later, and the recheck of a killed
		// replica after half a minute: here they are due every second.
		if polls%20 == 0 {
			c.try(dueNow)
		}
		wrong := append(c.differences(), c.unsettled()...)
		if len(wrong) == 0 {
			break
		}
		if !c.stable(len(c.replicas)) && time.Since(began) < joinWithin {
			joined = time.Now()
			if time.Since(rejoined) > rejoinAfter {
				c.logf("the group does not become stable; all join again")
				c.expel()
				rejoined = time.Now()
			}
		}
		if time.Since(joined) > convergenceTime {
			for _, order := range wrong[:min(len(wrong), 5)] {
				id, _, _ := strings.Cut(order, " ")
				c.logHistory(id)
			}
			c.Fatalf("not converged %v after the storm: %s", convergenceTime, strings.Join(wrong, "\n"))
		}
		sleep(50 * time.Millisecond)
	}
	took := time.Since(began)
	c.invariantsHold()
	c.nothingHappenedTwice()
	c.onlyPoisonIsDead()
	events, repeated := c.publishedEvents()
	c.logf("round %d: %d orders, %d dead letters, %d events and %d repeated ones; calm after %.1f s; indexes of active rows at most %d KiB",
		round, len(c.orders.open)+len(c.orders.over), len(c.poison), len(events), repeated, took.Seconds(), c.peaks.open>>10)
	c.flat()
	c.stop(c.replicas[2])
	c.replicas[2] = c.newReplica()
}

// onlyPoisonIsDead fails unless the dead letters are exactly the unreadable records, each
// once.
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

// traffic makes some hundred changes a second, with more orders than couriers.
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

// change changes an order, or publishes an untrue or unreadable event.
func (c *chaos) change(ctx context.Context) error {
	o, luck := &c.orders, c.orders.luck
	lost := c.resyncing && luck.IntN(10) == 0
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
		return c.sim.Delete(o.pick()) // its event is never lost: only a dispatcher could repair that
	case dice < 90:
		c.sim.Emit(o.open[luck.IntN(len(o.open))], anyOf(luck, "created", "cooking", "completed", "delivered", "nonsense"))
	case dice < 98 && len(o.over) > 0:
		// No "deleted": with a 404 while service-order has lost its state it would cancel.
		c.sim.Emit(o.over[luck.IntN(len(o.over))], anyOf(luck, "created", "delivering", "completed"))
	default:
		value := fmt.Sprintf(anyOf(luck, `{"order_id":"../%d"}`, `{"order_id":%d}`, `%d`, `{"order_id":"\u0000%d"`), luck.Uint64())
		c.poison[value] = true
		// Also at the end of the storm it must be known whether the record was published.
		record := &kgo.Record{Value: []byte(value)}
		return c.events.ProduceSync(context.WithoutCancel(ctx), record).FirstErr()
	}
	return nil
}

// losing makes a change without publishing its events, if lost.
func (c *chaos) losing(lost bool, change func() error) error {
	c.sim.Mute(lost)
	defer c.sim.Mute(false)
	return change()
}

func anyOf[T any](luck *rand.Rand, choices ...T) T { return choices[luck.IntN(len(choices))] }

// logHistory logs the records of the topic and the journal rows of an order that did not
// converge.
func (c *chaos) logHistory(order string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.kafka.Addr()), kgo.ConsumeTopics(topic))
	c.must(err)
	defer reader.Close()
	missing := int64(0)
	for _, end := range c.ends() {
		missing += end
	}
	for missing > 0 && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			missing--
			if strings.Contains(string(r.Value), order) {
				c.logf("%s: in the topic at %d@%d of %v: %s", order, r.Partition, r.Offset, r.Timestamp.UTC(), r.Value)
			}
		})
	}
	rows, err := c.pool.Query(ctx, "SELECT concat_ws(' ', at, state, courier_id, source, reason) FROM journal WHERE order_id = $1 ORDER BY id", order)
	c.must(err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	c.must(err)
	for _, line := range lines {
		c.logf("%s: in the journal: %s", order, line)
	}
	c.logf("%s: %d records of the topic were not read, %d rows in the journal", order, missing, len(lines))
}
