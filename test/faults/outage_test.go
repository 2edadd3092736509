package faults

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/ordersim"
)

var outageLasts = flag.Duration("outage", 3*time.Second, "how long service-order is down in TestServiceOrderIsDownForEverybody")

const (
	// opensWithin is the deadline of the first GET and a second, in which those end
	// that began behind the first few; and what a busy machine takes to tell it.
	opensWithin = time.Second + time.Second + 1500*time.Millisecond
	// mayGrow is what a replica may grow in an outage, by when it collects garbage:
	// twice what it reads ahead, of each of three partitions some 2,000 records.
	mayGrow = 32 << 20
)

// TestServiceOrderIsDownForEverybody: whatever way it is down, the breaker of
// each replica opens within a second of the first GET's deadline, consumption
// pauses without a rebalance, nothing is dead-lettered and nothing put off, it is
// told once, and all is caught up with afterwards. A breaker that wants a thousand
// failures never opens (tried).
func TestServiceOrderIsDownForEverybody(t *testing.T) {
	for name, down := range map[string]func(*front){
		"refuses":     func(f *front) { f.refuse() },
		"hangs":       func(f *front) { f.fail(f.hang) },
		"answers 503": func(f *front) { f.fail(status(http.StatusServiceUnavailable)) },
		"drips":       func(f *front) { f.fail(f.drip) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 50)
			replicas := []replica{w.spawn(), w.spawn()} // each with a heap of its own
			w.halved()
			before := w.create(20)
			w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 20 })
			generation := w.kafka.Cluster().GroupInfo(groupID).Epoch

			began := time.Now()
			down(w.front)
			w.setStatus("completed", before[:10]...)
			w.create(200)
			w.eventually("the breakers open", func() bool {
				return !slices.ContainsFunc(replicas, func(r replica) bool { return len(r.said(isDown)) == 0 })
			})
			first := began // nobody sees a GET that is refused
			if asked := w.front.harmed.Load(); asked != nil {
				first = *asked
			}
			for _, r := range replicas {
				if after := r.said(isDown)[0].Sub(first); after > opensWithin {
					t.Errorf("the breaker opened %v after the first GET, want %v at most", after, opensWithin)
				}
			}

			passes(500 * time.Millisecond) // GETs on their way are answered
			paused := time.Now()
			gets, rows, heaps := w.front.gets.Load(), w.count("SELECT count(*) FROM orders"), w.heaps(replicas)
			w.create(300)
			w.produce(slices.Repeat([]string{bulky(before[19])}, 15_000)...) // 30 MiB
			passes(*outageLasts)
			probes := int64(len(replicas)) * (2 + int64(time.Since(paused)/time.Second))
			if n := w.front.gets.Load() - gets; n > probes {
				t.Errorf("%d GETs in %v of outage, want a probe a second of each replica", n, time.Since(paused))
			}
			if n := w.count("SELECT count(*) FROM orders"); n != rows {
				t.Errorf("%d orders were put off in the database: Kafka is the buffer", n-rows)
			}
			for i, heap := range w.heaps(replicas) {
				if grown := heap - heaps[i]; grown > mayGrow {
					t.Errorf("a replica's heap grew by %d MiB", grown>>20)
				}
			}
			w.front.heal()
			w.eventually("all is caught up with", func() bool {
				w.hurry() // a look that was claimed as the breaker opened waits for its lease's end
				return len(w.disagreements()) == 0
			})
			w.agrees()
			w.allCommitted()
			if now := w.kafka.Cluster().GroupInfo(groupID).Epoch; now != generation {
				t.Errorf("the group was balanced anew: generation %d became %d", generation, now)
			}
			for _, r := range replicas {
				for _, text := range []string{isDown, "answers again"} {
					if n := len(r.said(text)); n != 1 {
						t.Errorf("a replica said %q %d times, want once", text, n)
					}
				}
			}
			w.notDead()
		})
	}
}

// isDown is what a breaker says when it opens.
const isDown = "down for everybody"

// passes lets real time go by: what is asserted is that nothing happens in it.
func passes(d time.Duration) { <-time.After(d) }

// bulky is an event of two KiB.
func bulky(id string) string {
	return fmt.Sprintf(`{"order_id":%q,"pad":%q}`, id, strings.Repeat("x", 2000))
}

// heaps are the sizes at which the replicas collect garbage: twice what is in use.
func (w *world) heaps(replicas []replica) (sizes []int) {
	w.Helper()
	for _, r := range replicas {
		size, err := scrape(w.Context(), listens.FindStringSubmatch(r.printed())[1], "go_memstats_next_gc_bytes")
		w.must(err)
		sizes = append(sizes, size[0])
	}
	return sizes
}

// TestOneOrderThatAlwaysFails disturbs nobody, alone at night too: it backs off
// to the cap of ten minutes, the API shows how often it failed and why, and the
// breaker stays closed.
func TestOneOrderThatAlwaysFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.serve()
	bad := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	w.answer500(bad)
	w.sim.Emit(bad, "completed")
	w.eventually("it was tried again and again", func() bool {
		w.hurry()
		return w.count("SELECT coalesce(max(look_failures), 0) FROM orders WHERE look_reason = 'unavailable' AND look_error LIKE '%500%'") > 12
	})
	w.eventually("it has backed off to the cap of ten minutes, 10 % more or less", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE look_due_at BETWEEN now() + interval '8 minutes' AND now() + interval '11 minutes'") == 1
	})
	if looking := w.listed("looking"); !strings.Contains(looking, bad) || !strings.Contains(looking, "HTTP status 500") ||
		!regexp.MustCompile(`"attempts":1[3-9]`).MatchString(looking) {
		t.Errorf("the API does not show the order, its attempts and the last error: %s", looking)
	}
	w.create(5)
	w.eventually("the others are assigned", func() bool { return w.inState(courier.StateAssigned) == 6 })
	if n := w.logs.times(isDown); n != 0 {
		t.Error("the breaker opened over one order")
	}
	w.setStatus(ordersim.StatusCompleted, bad)
	w.front.heal()
	w.eventually("it is completed after all", func() bool {
		w.hurry()
		return w.inState(courier.StateCompleted) == 1
	})
	w.agrees()
}

// TestManyOrdersThatAlwaysFail disturb nobody either: far more of them than make the
// breaker look whether service-order is down, in the batches of every partition.
func TestManyOrdersThatAlwaysFail(t *testing.T) {
	t.Parallel()
	const many = 60
	w := newWorld(t, many+20)
	w.serve()
	bad := w.create(many)
	w.eventually("they are assigned", func() bool { return w.inState(courier.StateAssigned) == many })
	w.answer500(bad...)
	for _, id := range bad {
		w.sim.Emit(id, "completed")
	}
	w.create(10)
	w.eventually("the others are assigned", func() bool { return w.inState(courier.StateAssigned) == many+10 })
	w.eventually("each of them is put off", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE look_reason = 'unavailable'") == many
	})
	w.create(10)
	w.eventually("later ones are assigned", func() bool { return w.inState(courier.StateAssigned) == many+20 })
	if n := w.logs.times(isDown); n != 0 {
		t.Errorf("the breaker opened %d times though service-order answered the probe", n)
	}
	w.setStatus(ordersim.StatusCompleted, bad...)
	w.front.heal()
	w.eventually("they are completed after all", func() bool {
		w.hurry()
		return w.inState(courier.StateCompleted) == many
	})
	w.agrees()
}

// answer500 makes service-order fail whenever it is asked for these orders.
func (w *world) answer500(ids ...string) {
	paths := make(map[string]bool)
	for _, id := range ids {
		paths[orderPath+id] = true
	}
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		if paths[r.URL.Path] {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.sim.Handler().ServeHTTP(rw, r)
	})
}

// listed is what the API lists of the orders in a state.
func (w *world) listed(state string) string {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.serviceURL()+"/api/v1/orders?state="+state, http.NoBody)
	w.must(err)
	answer, err := http.DefaultTransport.RoundTrip(request)
	w.must(err)
	defer func() { w.check(answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	w.must(err)
	return string(body)
}
