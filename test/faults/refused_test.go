package faults

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestRecordsThatOnlyPostgresRefuses: a batch of 500 contains five valid events that
// PostgreSQL refuses. Only they become dead letters; the rest of the batch is saved, and
// offsets are committed to the end. Without split the whole batch becomes dead letters
// (tried).
func TestRecordsThatOnlyPostgresRefuses(t *testing.T) {
	t.Parallel()
	const batch = 500
	bad := []int{0, 1, 250, 333, batch - 1} // both ends, neighbours, and alone
	w := newWorld(t, batch)
	w.front.unlisted.Store(true)
	w.sim.Mute(true)
	w.exec(`CREATE SEQUENCE largest; SELECT setval('largest', 1)`) // not rolled back
	w.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM setval('largest', greatest((SELECT last_value FROM largest), (SELECT count(*) FROM batch)));
			RAISE EXCEPTION 'picky' USING ERRCODE = '23514';
		END $$`)
	w.exec(`CREATE TRIGGER refuse AFTER INSERT ON orders REFERENCING NEW TABLE AS batch
		FOR EACH ROW WHEN (NEW.order_id LIKE 'refused-%') EXECUTE FUNCTION refuse()`)

	ids := w.create(batch)
	for i, at := range bad {
		w.must(w.sim.Delete(ids[at])) // replaced by the bad order
		ids[at] = fmt.Sprint("refused-", i)
	}
	first := w.create(1)[0]
	held, release := make(chan struct{}), make(chan struct{})
	hold := sync.OnceFunc(func() { close(held); <-release })
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		switch id := strings.TrimPrefix(r.URL.Path, orderPath); {
		case id == first:
			hold()
		case strings.HasPrefix(id, "refused-"):
			_, _ = rw.Write([]byte(`{"id":"` + id + `","status":"created"}`))
			return
		}
		w.sim.Handler().ServeHTTP(rw, r)
	})

	// While the first event is processed, the others become one batch.
	w.serve()
	w.publish(first)
	<-held
	queued := w.fetched(1 + batch)
	w.publish(ids...)
	<-queued
	close(release)

	w.eventually("the bad ones are dead letters", func() bool {
		return w.count("SELECT count(*) FROM dead_letters WHERE reason = 'refused_by_database' AND detail LIKE '%picky%'") == len(bad)
	})
	w.eventually("the others have couriers", func() bool {
		return w.count("SELECT count(*) FROM courier_orders") == 1+batch-len(bad)
	})
	if n := w.count("SELECT count(*) FROM dead_letters"); n != len(bad) {
		t.Errorf("%d dead letters, want only the %d bad ones", n, len(bad))
	}
	if n := w.count("SELECT last_value FROM largest"); n != batch {
		t.Errorf("the largest batch that was refused had %d records, want %d", n, batch)
	}
	w.allCommitted()
	w.nothingHappenedTwice()
	w.invariantsHold()
}

// publish sends events about the orders at once, all to partition 0.
func (w *world) publish(ids ...string) {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	w.must(err)
	defer client.Close()
	records := make([]*kgo.Record, len(ids))
	for i, id := range ids {
		records[i] = &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, `{"order_id":%q,"status":"created"}`, id)}
	}
	w.must(client.ProduceSync(w.Context(), records...).FirstErr())
}

// fetched is closed when the records of partition 0 before offset have been fetched and
// passed to its claim.
func (w *world) fetched(offset int64) <-chan struct{} {
	done := make(chan struct{})
	report := sync.OnceFunc(func() { close(done) })
	cluster := w.kafka.Cluster()
	cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		for _, topic := range r.(*kmsg.FetchRequest).Topics {
			for _, p := range topic.Partitions {
				if p.Partition == 0 && p.FetchOffset >= offset {
					report()
				}
			}
		}
		return nil, nil, false
	})
	return done
}
