package kafka

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"service-courier/internal/usecase/deadletters"
)

// bomb sends a record of zeros that decompresses above the limit.
func (b fixture) bomb(partition int32, codec sarama.CompressionCodec) {
	b.Helper()
	cfg := saramaConfig()
	cfg.Producer.Return.Successes = true
	cfg.Producer.Compression = codec
	cfg.Producer.MaxMessageBytes = 2 * testDecompressedBatch
	cfg.Producer.Partitioner = sarama.NewManualPartitioner
	b.send(cfg, &sarama.ProducerMessage{Partition: partition, Value: sarama.ByteEncoder(make([]byte, testDecompressedBatch+1))})
}

// produceTo sends values to one partition, each in a batch of its own.
func (b fixture) produceTo(partition int32, values ...string) {
	b.Helper()
	cfg := saramaConfig()
	cfg.Producer.Return.Successes = true
	cfg.Producer.Partitioner = sarama.NewManualPartitioner
	cfg.Producer.Flush.MaxMessages = 1
	var messages []*sarama.ProducerMessage
	for _, v := range values {
		messages = append(messages, &sarama.ProducerMessage{Partition: partition, Value: sarama.StringEncoder(v)})
	}
	b.send(cfg, messages...)
}

func (b fixture) send(cfg *sarama.Config, messages ...*sarama.ProducerMessage) {
	b.Helper()
	p, err := sarama.NewSyncProducer([]string{b.addr}, cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for _, m := range messages {
		m.Topic = b.cfg.Topic
	}
	if err := p.SendMessages(messages); err != nil {
		b.Fatal(err)
	}
}

// undecodableBatchesAreSkipped: each batch that sarama cannot decode, at the start of its
// partition or between good records, becomes a dead letter without payload, and every
// good record of every partition is read. sarama fetches the partitions of a broker
// together: without isolation none would be read.
func undecodableBatchesAreSkipped(b fixture) {
	b.bomb(0, sarama.CompressionGZIP) // at the start of its partition
	b.produceTo(0, events(0, 3)...)
	b.produceTo(1, events(3, 6)...)
	b.bomb(1, sarama.CompressionLZ4)
	b.produceTo(1, events(6, 9)...)
	b.bomb(1, sarama.CompressionZSTD)
	b.produceTo(2, events(9, 12)...)
	var s sink
	var log lockedBuffer
	var o recorder
	stop := b.consumeWith(&s, &o, slog.New(slog.NewTextHandler(&log, nil)))
	b.eventually("all good records are submitted", func() bool { return s.orders() == 12 })
	b.produceTo(0, eventOf(12))
	b.produceTo(1, eventOf(13))
	b.produceTo(2, eventOf(14))
	b.eventually("later records are submitted", func() bool { return s.orders() == 15 })
	b.bomb(1, sarama.CompressionSnappy) // while the partition is read apart
	b.produceTo(1, eventOf(15))
	b.eventually("the record behind another one is submitted", func() bool { return s.orders() == 16 })
	b.eventually("nothing is lag", func() bool { sum, of := o.lag(); return sum == 0 && of == 3 }) // the others are empty
	stop()
	if got := b.committed(); got != 20 {
		b.Errorf("committed %d offsets, want 20", got)
	}
	want := map[[2]int64]bool{{0, 0}: true, {1, 3}: true, {1, 7}: true, {1, 9}: true}
	for _, l := range s.letters {
		if !want[[2]int64{int64(l.Partition), l.Offset}] || l.Payload != nil || l.Reason != deadletters.Undecodable || l.ProducedAt.IsZero() ||
			!strings.Contains(l.Detail, fmt.Sprintf("more than %d bytes", maxDecoded)) {
			b.Errorf("dead letter %+v", l)
		}
	}
	if len(s.letters) != len(want) {
		b.Errorf("%d dead letters, want %d", len(s.letters), len(want))
	}
	if n := strings.Count(log.String(), "batch cannot be decoded, skipped"); n != len(want) {
		b.Errorf("logged %d times, want %d:\n%s", n, len(want), log.String())
	}
	var next sink
	b.produceTo(1, eventOf(16))
	b.consume(&next)
	b.eventually("the next member reads on", func() bool { return next.orders() == 1 })
}

// manyUndecodableBatches: they alternate with good records, and a member leaves meanwhile.
func manyUndecodableBatches(b fixture) {
	for n := range 6 {
		b.bomb(int32(n%2), sarama.CompressionZSTD)
		b.produceTo(int32(n%2), eventOf(n))
	}
	var first, second sink
	stop := b.consume(&first)
	b.eventually("some are read", func() bool { return first.orders() > 0 })
	b.consume(&second)
	stop()
	b.produceTo(0, eventOf(6))
	b.eventually("all good records are submitted", func() bool { return first.orders()+second.orders() >= 7 })
	b.eventually("all is committed", func() bool { return b.committed() == 13 })
}

// TestMalformedBatchesAreSkipped: a broker that does not look into batches, as kfake,
// accepts any content. sarama reads some of them again and again without an error.
func TestMalformedBatchesAreSkipped(t *testing.T) {
	t.Parallel()
	for name, batch := range map[string]kmsg.RecordBatch{
		"not gzip":                   {Attributes: 1, NumRecords: 1, Records: []byte("not gzip")},
		"not zstd":                   {Attributes: 4, NumRecords: 1, Records: []byte("not zstd")},
		"fewer records than claimed": {NumRecords: 5, Records: []byte{2}},
		"millions of records":        {NumRecords: 5_000_000, Records: []byte{1}},
		"a negative record":          {NumRecords: 1, Records: []byte{1, 0, 0}},
		"empty":                      {NumRecords: 1},
		"more records than claimed":  {NumRecords: 1, Records: slices.Concat(rawRecord(0, eventOf(10)), rawRecord(1, eventOf(11)))},
		"an offset beyond the end":   {NumRecords: 1, Records: rawRecord(1_000_000, eventOf(10))},
		"an offset of a later batch": {NumRecords: 1, Records: rawRecord(1, eventOf(10))},
		"an offset before the batch": {NumRecords: 1, Records: rawRecord(-1, eventOf(10))},
		"an offset twice":            {NumRecords: 2, Records: slices.Concat(rawRecord(0, eventOf(10)), rawRecord(0, eventOf(11)))},
		"compressed twice":           {Attributes: 4, NumRecords: 1, Records: compress(t, sarama.CompressionZSTD, compress(t, sarama.CompressionZSTD, rawRecord(0, "x")))},
		"not lz4":                    {Attributes: 3, NumRecords: 1, Records: []byte("not lz4")},
		"not snappy":                 {Attributes: 2, NumRecords: 1, Records: []byte("\xff\xff\xff\xff\x0f1")},
		"more headers than bytes":    {NumRecords: 1, Records: []byte{22, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := fixture{t, broker{addr: startKfake(t).Addr()}, Config{Topic: topic, GroupID: "malformed"}}
			b.cfg.Brokers = []string{b.addr}
			b.produceTo(0, events(0, 2)...)
			b.produceRaw(batch)
			b.produceTo(0, events(2, 4)...)
			b.produceTo(1, eventOf(4))
			var s sink
			b.consume(&s)
			b.eventually("the good records are submitted", func() bool { return s.orders() == 5 })
			b.eventually("all is committed", func() bool { return b.committed() == 5+int64(batch.NumRecords) })
			if len(s.letters) != 1 || s.letters[0].Offset != 2 || s.letters[0].Reason != deadletters.Undecodable {
				t.Errorf("dead letters %+v", s.letters)
			}
		})
	}
}

// produceRaw sends a batch with its checksum to partition 0.
func (b fixture) produceRaw(batch kmsg.RecordBatch) {
	b.Helper()
	if err := b.sendRaw(batch); err != nil {
		b.Fatal(err)
	}
}

// sendRaw returns the error of the broker.
func (b fixture) sendRaw(batch kmsg.RecordBatch) error {
	b.Helper()
	const overhead, crcEnd = 49, 21
	batch.Magic, batch.PartitionLeaderEpoch, batch.ProducerID, batch.ProducerEpoch = 2, -1, -1, -1
	batch.LastOffsetDelta = batch.NumRecords - 1
	batch.FirstTimestamp, batch.MaxTimestamp = time.Now().UnixMilli(), time.Now().UnixMilli()
	batch.Length = int32(overhead + len(batch.Records))
	raw := batch.AppendTo(nil)
	batch.CRC = int32(crc32.Checksum(raw[crcEnd:], crc32.MakeTable(crc32.Castagnoli)))
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.MaxVersions(kversion.V3_0_0())) // topics by name
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = batch.AppendTo(nil)
	of := kmsg.NewProduceRequestTopic()
	of.Topic, of.Partitions = b.cfg.Topic, []kmsg.ProduceRequestTopicPartition{part}
	request := kmsg.NewPtrProduceRequest()
	request.Acks, request.TimeoutMillis, request.Topics = -1, 1000, []kmsg.ProduceRequestTopic{of}
	response, err := client.SeedBrokers()[0].Request(b.Context(), request)
	if err != nil {
		b.Fatal(err)
	}
	return kerr.ErrorForCode(response.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}

// offsetsOfAnotherBatch: a record has an offset far beyond the end of its partition. Read
// on from there, the partition would never give another record.
func offsetsOfAnotherBatch(b fixture) {
	b.produceTo(0, events(0, 2)...)
	if err := b.sendRaw(kmsg.RecordBatch{NumRecords: 1, Records: rawRecord(1_000_000, eventOf(10))}); err != nil {
		b.Logf("the broker refuses it: %v", err)
		return
	}
	b.produceTo(0, events(2, 4)...)
	var s sink
	b.consume(&s)
	b.eventually("the good records are submitted", func() bool { return s.orders() == 4 })
	b.eventually("all is committed", func() bool { return b.committed() == 5 })
}

// offsetsWithoutRecords: the last offset of a partition may be a control record of a
// transaction. It is committed, so that the lag becomes 0.
func offsetsWithoutRecords(b fixture) {
	b.transaction(0, true, events(0, 3)...)
	b.transaction(0, false, events(3, 5)...) // aborted
	b.transaction(1, true, events(5, 6)...)
	b.transaction(2, true, eventOf(100))
	b.removeBefore(2, 1) // only the control record is left
	var s sink
	var o recorder
	lags := func() bool { sum, of := o.lag(); return sum == 0 && of == 3 } // the others are empty
	stop := b.consumeWith(&s, &o, slog.New(slog.DiscardHandler))
	b.eventually("all records are submitted", func() bool { return s.orders() == 6 })
	b.eventually("nothing is lag", lags)
	b.transaction(1, true, events(6, 7)...)
	b.eventually("the next transaction is submitted", func() bool { return s.orders() == 7 })
	b.eventually("the end of each partition is committed", func() bool {
		in, err := Inspect(b.Context(), b.cfg)
		if err != nil || in.GroupErr != nil {
			b.Fatal(err, in.GroupErr)
		}
		return !slices.ContainsFunc(in.Partitions, func(p PartitionState) bool { return p.Newest != max(0, p.Committed) })
	})
	b.eventually("nothing is lag", lags)
	stop()
	if len(s.letters) != 0 {
		b.Errorf("control records became dead letters: %+v", s.letters)
	}
}

// emptiedPartition: all records of a partition were removed before the group began. Its end
// is committed, so that the next start does not take it for a loss.
func emptiedPartition(b fixture) {
	b.produceTo(0, events(0, 3)...)
	b.removeBefore(0, 3)
	b.produceTo(1, eventOf(3))
	var s sink
	var o recorder
	stop := b.consumeWith(&s, &o, slog.New(slog.DiscardHandler))
	b.eventually("the end is committed", func() bool { return s.orders() == 1 && b.committed() == 3+1 })
	b.eventually("nothing is lag", func() bool { sum, of := o.lag(); return sum == 0 && of == 2 }) // the others are empty
	stop()
	b.produceTo(0, eventOf(4))
	var log lockedBuffer
	c := NewConsumer(b.cfg, &s, unobserved{}, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx, true) }()
	b.eventually("the next record is read", func() bool { return s.orders() == 2 })
	cancel()
	<-done
	if strings.Contains(log.String(), "committed offset lost") {
		b.Errorf("a loss was reported:\n%s", log.String())
	}
}

func (b fixture) removeBefore(partition int32, offset int64) {
	b.Helper()
	if err := b.admin().DeleteRecords(b.cfg.Topic, map[int32]int64{partition: offset}); err != nil {
		b.Fatal(err)
	}
}

// isolatedPartitionLosesRecords: the records that an isolated partition reads next are
// removed during an outage. It goes on at the oldest, as any partition does.
func isolatedPartitionLosesRecords(b fixture) {
	b.bomb(0, sarama.CompressionZSTD)
	b.produceTo(0, eventOf(0))
	var s sink
	b.consume(&s)
	b.eventually("the partition is isolated", func() bool { return s.orders() == 1 })
	s.fail()
	before := s.attempted()
	b.produceTo(0, eventOf(1))
	b.eventually("a record cannot be saved", func() bool { return s.attempted() > before })
	b.produceTo(0, events(2, 4)...)
	b.removeBefore(0, 4)
	s.recover()
	b.eventually("the last record is submitted", func() bool { return s.orders() == 3 })
	b.eventually("all is committed", func() bool { return b.committed() == 5 })
}

// transaction sends values to a partition in one transaction.
func (b fixture) transaction(partition int32, commit bool, values ...string) {
	b.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.DefaultProduceTopic(b.cfg.Topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(b.cfg.GroupID))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		b.Fatal(err)
	}
	for _, v := range values {
		if err := client.ProduceSync(b.Context(), &kgo.Record{Partition: partition, Value: []byte(v)}).FirstErr(); err != nil {
			b.Fatal(err)
		}
	}
	if err := client.EndTransaction(b.Context(), kgo.TransactionEndTry(commit)); err != nil {
		b.Fatal(err)
	}
}

// TestConnectionClosedWhileAnAnswerIsChecked: an answer arrived whole, but its connection was
// closed before sarama had it, as after a revocation. Its good record is no dead letter.
func TestConnectionClosedWhileAnAnswerIsChecked(t *testing.T) {
	b := fixture{t, broker{addr: startKfake(t).Addr()}, Config{Topic: topic}}
	b.cfg.Brokers = []string{b.addr}
	b.produceTo(0, eventOf(0))
	f := &fetcher{cfg: b.cfg, single: true}
	defer f.close()
	if err := f.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy := &f.client.Config().Net.Proxy
	proxy.Dialer = closingDialer{proxy.Dialer.(dialer), f.answer}
	got, err := f.fetch(t.Context(), 0)
	if !errors.Is(err, net.ErrClosed) || got.skipped != nil {
		t.Errorf("skipped %+v, error %v, want %v", got.skipped, err, net.ErrClosed)
	}
	if got, err = f.fetch(t.Context(), 0); err != nil || len(got.records) != 1 {
		t.Errorf("%d records with the next connection, error %v", len(got.records), err)
	}
}

// closingDialer makes connections that are closed as soon as an answer is complete.
type closingDialer struct {
	dialer
	answer *recording
}

func (d closingDialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := d.dialer.Dial(network, addr)
	return closingConn{conn, d.answer}, err
}

type closingConn struct {
	net.Conn
	answer *recording
}

func (c closingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.answer.mu.Lock()
	defer c.answer.mu.Unlock()
	if complete(c.answer.buf) {
		err = errors.Join(err, c.Close())
	}
	return n, err
}

// TestDecodedUpTo: an offset counts as read if its batch was decoded, or is empty since a
// compaction. sarama drops everything behind a batch whose records do not match its
// header, without an error.
func TestDecodedUpTo(t *testing.T) {
	decoded := func(firsts ...int64) *sarama.FetchResponseBlock {
		block := new(sarama.FetchResponseBlock)
		for _, first := range firsts {
			block.RecordsSet = append(block.RecordsSet, &sarama.Records{RecordBatch: &sarama.RecordBatch{FirstOffset: first}})
		}
		return block
	}
	cutOff := decoded(5)
	cutOff.RecordsSet[0].RecordBatch.PartialTrailingRecord = true
	old := &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{{MsgSet: &sarama.MessageSet{Messages: []*sarama.MessageBlock{{Offset: 5}, {Offset: 8}}}}}}
	for name, c := range map[string]struct {
		block   *sarama.FetchResponseBlock
		headers []batchHeader
		want    int64
	}{
		"nothing":                  {decoded(), nil, -1},
		"two batches":              {decoded(5, 8), []batchHeader{{5, 7, 3, 0, time.Time{}}, {8, 8, 1, 0, time.Time{}}}, 9},
		"emptied at the end":       {decoded(5), []batchHeader{{5, 7, 3, 0, time.Time{}}, {8, 20, 0, 0, time.Time{}}}, 21},
		"only emptied":             {decoded(), []batchHeader{{5, 20, 0, 0, time.Time{}}}, 21},
		"one is not decoded":       {decoded(5, 9), []batchHeader{{5, 7, 3, 0, time.Time{}}, {8, 8, 1, 0, time.Time{}}, {9, 9, 1, 0, time.Time{}}}, 8},
		"the first is not decoded": {cutOff, []batchHeader{{5, 7, 3, 0, time.Time{}}}, -1},
		"formats before 0.11":      {old, []batchHeader{{5, 5, 1, 0, time.Time{}}, {8, 8, 1, 0, time.Time{}}, {11, 11, 1, 0, time.Time{}}}, 9},
	} {
		if got := decodedUpTo(c.block, c.headers); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestBatchHeaders: the formats of every release are read, up to a part of a batch.
func TestBatchHeaders(t *testing.T) {
	batch := kmsg.RecordBatch{FirstOffset: 7, LastOffsetDelta: 4, NumRecords: 3, Magic: 2, FirstTimestamp: 1000, Length: 50, Records: []byte{0}}
	raw := batch.AppendTo(nil)
	old := append(append([]byte{0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 14}, make([]byte, 4)...), append([]byte{1}, make([]byte, 9)...)...)
	got := batchHeaders(slices.Concat(raw, old, raw[:20]))
	want := []batchHeader{{7, 11, 3, 62, time.UnixMilli(1000).UTC()}, {12, 12, 1, 26, time.UnixMilli(0).UTC()}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for n := range len(raw) {
		batchHeaders(raw[:n]) // must not panic
	}
	copy(raw[8:], []byte{0xff, 0xff, 0xff, 0xff})
	if got := batchHeaders(raw); got != nil {
		t.Errorf("negative length: %+v", got)
	}
}

// TestStuckIsReported: errors of decoding that last longer than it takes to skip a batch.
func TestStuckIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		c := NewConsumer(Config{Topic: topic}, nil, nil, nil, slog.New(slog.NewTextHandler(&log, nil)))
		c.joined.Store(true)
		fail := func(d time.Duration) {
			for range d / time.Second {
				c.handleClientError(t.Context(), &sarama.ConsumerError{Topic: topic, Err: sarama.ErrInvalidMessage})
				time.Sleep(time.Second)
			}
		}
		fail(stuckAfter / 2)
		if err := c.Status(); err != nil {
			t.Errorf("Status() = %v while the batch is searched for", err)
		}
		fail(stuckAfter)
		if err := c.Status(); !errors.Is(err, errStuck) || strings.Count(log.String(), "level=ERROR") != 1 {
			t.Errorf("Status() = %v, want %v; log:\n%s", err, errStuck, log.String())
		}
		time.Sleep(conditionFor)
		if err := c.Status(); err != nil {
			t.Errorf("Status() = %v after the last error", err)
		}
	})
}
