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

	"service-courier/internal/devstack"
	"service-courier/internal/ordersim"
	"service-courier/test/faults/wire"
)

var soak = flag.Duration("soak", 10*time.Second, "how long TestChaos goes on, to the end of a round")

const (
	stormLasts = 15 * time.Second
	// convergeWithin is the published time of an open order. Most calms take some
	// seconds.
	convergeWithin = 2 * time.Minute
	// joinWithin is how long the group may take before that time begins: the embedded
	// broker forgets whoever waits in a join for longer than a session, which a real
	// one does not, and that client waits 30 s for the answer before it joins anew.
	joinWithin = 4 * time.Minute
	// anewAfter is when all have to join anew, should that broker have forgotten several.
	anewAfter     = 45 * time.Second
	chaosCouriers = 25
)

// TestChaos lets faults of every kind fall at random upon three replicas, round
// after round: a storm, in which several are in force at once, and then a calm,
// in which everything must come right by itself. By default there is one short
// round, CI goes on for three minutes, `make chaos` for as long as one likes.
//
// In every other round nothing is lost and service-order lists nothing, so that
// events alone must do. In the rounds between, events of what was created or
// completed are lost, service-order forgets for a while, and the sweep must find
// what is wrong. A seed gives the same faults again, not the same timing.
//
// Three minutes notice that records are marked before they are saved (tried: an
// order was lost in the second round), and that the ladder is gone (in the first).
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	w, pg := newWorldWithOwnServer(t, chaosCouriers, func(c *ordersim.Config) {
		c.DuplicateShare, c.PublishDelay, c.Seed = 0.3, 2*time.Second, seed
	})
	_, _, err := w.kafka.Cluster().AddNode(-1, 0) // coordinator and leaders need a place to move to
	w.must(err)
	c := &chaos{
		world: w, pg: pg, wire: w.wire(), began: time.Now(), orders: orders{world: w},
		poison: make(map[string]bool), fleet: fleet{up: make(map[replica]string)},
	}
	for i := range c.replicas {
		c.replicas[i] = c.newReplica()
	}
	defer c.watching()()
	for round := uint64(1); !t.Failed() && (round == 1 || time.Since(c.began) < *soak); round++ {
		c.sweeping = round%2 == 0
		w.front.unlisted.Store(!c.sweeping)
		c.storm(seed, round)
		c.calm(round)
	}
	for _, r := range c.replicas {
		c.stop(r)
	}
}

// chaos is the world with what may break in it.
type chaos struct {
	*world
	pg       *devstack.Postgres
	wire     *wire.Wire // to PostgreSQL
	replicas [3]replica // the first lives as long as the test, so that a leak shows
	fleet    fleet
	peaks    peaks
	began    time.Time
	sweeping bool // in this round

	orders orders
	poison map[string]bool // records that must become dead letters, and nothing else
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

// calm waits until everything has come right, and checks every promise.
func (c *chaos) calm(round uint64) {
	c.Helper()
	began := time.Now()
	joined, anew := began, began // when the group was last seen not to be at rest, and made to join
	c.pool.Reset()               // connections that a fault has broken
	c.eventually("PostgreSQL answers", func() bool { return c.pool.Ping(c.Context()) == nil })
	c.allPublished()
	for polls := 0; ; polls++ {
		// An order that could not be asked for may be put off by minutes, and a
		// killed replica's look by half of one: here they are due each second.
		if polls%20 == 0 {
			c.try(dueNow)
		}
		wrong := append(c.disagreements(), c.unsettled()...)
		if len(wrong) == 0 {
			break
		}
		if !c.stable(len(c.replicas)) && time.Since(began) < joinWithin {
			joined = time.Now()
			if time.Since(anew) > anewAfter {
				c.tell("the group does not come to rest; all join anew")
				c.expel()
				anew = time.Now()
			}
		}
		if time.Since(joined) > convergeWithin {
			for _, order := range wrong[:min(len(wrong), 5)] {
				id, _, _ := strings.Cut(order, " ")
				c.tellHistory(id)
			}
			c.Fatalf("not settled %v after the storm: %s", convergeWithin, strings.Join(wrong, "\n"))
		}
		passes(50 * time.Millisecond)
	}
	took := time.Since(began)
	c.sound()
	c.nothingTwice()
	c.onlyPoisonIsDead()
	c.tell("round %d: %d orders, %d dead letters; calm after %.1f s; indexes of what is open at most %d KiB",
		round, len(c.orders.open)+len(c.orders.over), len(c.poison), took.Seconds(), c.peaks.open>>10)
	c.flat()
	c.stop(c.replicas[2])
	c.replicas[2] = c.newReplica()
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
