package faults

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/config"
	"service-courier/internal/courier"
)

// produce sends values to the order topic as they are, a few headers with each.
func (w *world) produce(values ...string) {
	w.Helper()
	cfg := sarama.NewConfig()
	cfg.Producer.Return.Successes = true
	cfg.Producer.Partitioner = sarama.NewRoundRobinPartitioner
	p, err := sarama.NewSyncProducer([]string{w.kafka.Addr()}, cfg)
	w.must(err)
	defer func() { w.check(p.Close()) }()
	messages := make([]*sarama.ProducerMessage, len(values))
	for i, v := range values {
		messages[i] = &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(v)}
	}
	w.must(p.SendMessages(messages))
}

// TestHostileEvents: no panic, no request to any path but an order's, a dead
// letter for each, and the order among them is assigned.
func TestHostileEvents(t *testing.T) {
	w := newWorld(t, 5)
	var mu sync.Mutex
	paths := make(map[string]bool)
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		paths[r.URL.EscapedPath()] = true
		mu.Unlock()
		w.sim.Handler().ServeHTTP(rw, r)
	})
	w.serve()
	hostile := []string{
		"", "null", "[]", "{", "\xff\xfe\x00", strings.Repeat("[", 100_000), `{"order_id":null}`, `{"order_id":7}`, `{"order_id":{}}`,
		`{"order_id":".."}`, `{"order_id":"../couriers"}`, `{"order_id":"a/b"}`, `{"order_id":"%2e%2e"}`, `{"order_id":"a?x=1"}`,
		`{"order_id":"a#b"}`, `{"order_id":"a\r\nX-Bypass-Auth: true"}`, `{"order_id":"a\u0000"}`, `{"order_id":"` + strings.Repeat("a", 900_000) + `"}`,
	}
	w.produce(hostile...)
	good := w.create(1)[0]
	w.produce(hostile...)
	w.eventually("the good one is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	w.eventually("all others are dead letters", func() bool { return w.count("SELECT count(*) FROM dead_letters") == 2*len(hostile) })
	mu.Lock()
	defer mu.Unlock()
	for p := range paths {
		if p != orderPath+good && p != "/public/api/v1/orders" {
			t.Errorf("asked for %s", p)
		}
	}
}

// TestForgedCompletedChangesNothing: an event is only a hint.
func TestForgedCompletedChangesNothing(t *testing.T) {
	w := newWorld(t, 2)
	w.serve()
	id := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	for _, status := range []string{"completed", "delivered", "cancelled", "deleted"} {
		w.sim.Emit(id, status)
	}
	w.eventually("it was looked at", func() bool { return w.count("SELECT count(*) FROM orders WHERE look_reason = 'ahead'") == 1 })
	w.eventually("the looks are used up", func() bool {
		w.hurry()
		return w.count("SELECT count(*) FROM orders WHERE look_reason IS NULL") == 1
	})
	w.agrees()
}

// TestHostileAnswers: whatever service-order answers, the memory is bounded,
// nobody is sent anywhere, and the order is looked at again.
func TestHostileAnswers(t *testing.T) {
	gib := strings.Repeat(" ", 1<<20)
	answers := map[string]http.HandlerFunc{
		"another order": func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte(`{"id":"other","status":"completed"}`))
		},
		"redirect": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "http://127.0.0.1:1/elsewhere", http.StatusFound)
		},
		"a gibibyte": func(rw http.ResponseWriter, _ *http.Request) {
			for range 1 << 10 {
				if _, err := rw.Write([]byte(gib)); err != nil {
					return
				}
			}
		},
		"compressed": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			_, _ = rw.Write([]byte("\x1f\x8b\x08\x00"))
		},
		"wrong types": func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(`{"id":["x"],"status":7}`)) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			w.serve(func(c *config.Config) { c.SweepInterval = time.Hour })
			id := w.create(1)[0]
			w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
			w.front.fail(answer)
			before := heapInUse()
			w.sim.Emit(id, "completed")
			w.eventually("it is looked at again", func() bool {
				w.hurry()
				return w.count("SELECT coalesce(max(look_failures), 0) FROM orders WHERE look_reason = 'unavailable'") > 3
			})
			if grown := int64(heapInUse()) - int64(before); grown > 16<<20 {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
			w.front.heal()
			w.eventually("it is settled", func() bool {
				w.hurry()
				return w.count("SELECT count(*) FROM orders WHERE look_reason IS NULL") == 1
			})
			w.agrees()
		})
	}
}

// TestFloodOfUnknownIDs: orders that nobody has cost one look each and a few
// more later, leave no row behind, and keep nobody waiting.
func TestFloodOfUnknownIDs(t *testing.T) {
	w := newWorld(t, 2)
	w.serve()
	const flood = 2000
	values := make([]string, flood)
	for i := range values {
		values[i] = fmt.Sprintf(`{"order_id":"flood-%d","status":"completed"}`, i)
	}
	w.produce(values...)
	w.create(1)
	w.eventually("the real one is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	w.eventually("all are seen or forgotten", func() bool { return w.front.gets.Load() >= flood })
	w.eventually("no row is left of them", func() bool {
		w.hurry()
		return w.count("SELECT count(*) FROM orders") == 1
	})
	if gets := w.front.gets.Load(); gets > flood*7+100 {
		t.Errorf("%d GETs for %d ids, want at most a look and five more each", gets, flood)
	}
}
