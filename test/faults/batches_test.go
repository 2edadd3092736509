package faults

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/internal/courier"
)

// TestBatchThatCannotBeDecoded: a batch of some KB that decompresses to 80 MiB becomes a
// dead letter without payload. Without isolation it stops every partition of its broker. It
// runs alone, and in CI without the race detector: while the batch is decompressed, the
// embedded broker may take the member for dead.
func TestBatchThatCannotBeDecoded(t *testing.T) {
	w := newWorld(t, 10)
	cfg := sarama.NewConfig()
	cfg.Producer.Return.Successes = true
	cfg.Producer.Compression = sarama.CompressionGZIP
	cfg.Producer.MaxMessageBytes = 100 << 20
	w.sendWith(cfg, &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(make([]byte, 80<<20))})
	w.create(10)
	w.serve()
	w.eventually("the orders are assigned", func() bool { return w.inState(courier.StateAssigned) == 10 })
	w.eventuallyWithin("the batch is a dead letter", func() bool { return w.count("SELECT count(*) FROM dead_letters") == 1 })
	w.allCommitted()
	if got := w.one("SELECT reason || ' ' || coalesce(length(payload), -1) || ' ' || redrives FROM dead_letters"); got != "undecodable -1 0" {
		t.Errorf("dead letter %q", got)
	}
	if w.logs.times("batch cannot be decoded, skipped") == 0 {
		t.Error("it is not logged")
	}
	if n := w.metric("courier_dead_letters_total", ""); n != 1 {
		t.Errorf("%v dead letters are counted", n)
	}
	w.converges()
}

// TestTransactionsLeaveNoLag: the last offset of each partition is the control record of
// a transaction. It is committed like a record; so its expiry is no loss.
func TestTransactionsLeaveNoLag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	stop := w.serve()
	id := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		w.transaction(commit, hint(id))
		w.allCommitted()
	}
	stop()
	for p, end := range w.ends() {
		w.must(w.kafka.Cluster().DeleteRecords(topic, p, end))
	}
	w.serve()
	w.transaction(kgo.TryCommit, hint(id))
	w.allCommitted()
	if n := w.logs.times("committed offset lost"); n != 0 {
		t.Errorf("a lost offset was reported %d times", n)
	}
	w.converges()
	w.nothingHappenedTwice()
}

// transaction sends a value to each partition in one transaction.
func (w *world) transaction(end kgo.TransactionEndTry, value string) {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("orders"))
	w.must(err)
	defer client.Close()
	w.must(client.BeginTransaction())
	for p := range int32(partitions) {
		w.must(client.ProduceSync(w.Context(), &kgo.Record{Partition: p, Value: []byte(value)}).FirstErr())
	}
	w.must(client.EndTransaction(w.Context(), end))
}
