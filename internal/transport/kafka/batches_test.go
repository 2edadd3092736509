package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/IBM/sarama"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	xerial "github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// encode returns a record as it is in a batch.
func encode(r kmsg.Record) []byte {
	r.Length = 0
	r.Length = int32(len(r.AppendTo(nil)) - 1) // the length itself took a byte
	return r.AppendTo(nil)
}

// rawRecord is one at an offset of its batch.
func rawRecord(delta int32, value string) []byte {
	return encode(kmsg.Record{OffsetDelta: delta, Value: []byte(value)})
}

func compress(tb testing.TB, codec sarama.CompressionCodec, data []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	var err error
	switch codec {
	case sarama.CompressionNone:
		return data
	case sarama.CompressionGZIP:
		w := gzip.NewWriter(&out)
		_, err = w.Write(data)
		err = errors.Join(err, w.Close())
	case sarama.CompressionLZ4:
		w := lz4.NewWriter(&out)
		_, err = w.Write(data)
		err = errors.Join(err, w.Close())
	case sarama.CompressionSnappy:
		if len(data)%2 == 0 {
			return snappy.Encode(nil, data)
		}
		return xerial.Encode(nil, data)
	case sarama.CompressionZSTD:
		w, newErr := zstd.NewWriter(nil)
		if newErr != nil {
			tb.Fatal(newErr)
		}
		return w.EncodeAll(data, nil)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// sealed returns a batch with its length and checksum.
func sealed(b kmsg.RecordBatch) []byte {
	const crcStart, crcEnd = 17, 21
	b.Magic, b.Length = 2, int32(batchOverhead-12+len(b.Records))
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[crcStart:], crc32.Checksum(raw[crcEnd:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// heavy returns a batch of one record whose headers take about the given memory.
func heavy(tb testing.TB, memory int) kmsg.RecordBatch {
	tb.Helper()
	headers := (memory - recordMemory) / (headerMemory + 2)
	records := encode(kmsg.Record{Headers: make([]kmsg.Header, headers)})
	return kmsg.RecordBatch{Attributes: int16(sarama.CompressionZSTD), NumRecords: 1, Records: compress(tb, sarama.CompressionZSTD, records)}
}

// TestBatchIsDecompressed: sarama gets each batch without compression, and as it was.
func TestBatchIsDecompressed(t *testing.T) {
	for codec := range sarama.CompressionZSTD + 1 {
		for _, value := range []string{"a", "ab", string(make([]byte, 100_000))} {
			records := slices.Concat(rawRecord(0, value), rawRecord(4, value))
			b := kmsg.RecordBatch{
				FirstOffset: 7, LastOffsetDelta: 4, NumRecords: 2, FirstTimestamp: 1, ProducerID: 3, Attributes: int16(codec) | 0x10,
				Records: compress(t, codec, records),
			}
			got, memory, err := checkBatch(sealed(b))
			b.Attributes, b.Records = 0x10, records
			if err != nil || !bytes.Equal(got, sealed(b)) || memory != len(records)+2*recordMemory {
				t.Errorf("%v: %v; memory %d, equal %v", codec, err, memory, bytes.Equal(got, sealed(b)))
			}
		}
	}
}

// TestMemoryOfAnAnswer: an answer has at most maxDecoded of records; what does not fit is
// fetched again. Only a batch that does not fit alone is an error, and of its partition only.
func TestMemoryOfAnAnswer(t *testing.T) {
	third := sealed(heavy(t, maxDecoded/3))
	large, small := sealed(heavy(t, maxDecoded+100*headerMemory)), sealed(kmsg.RecordBatch{NumRecords: 1, Records: rawRecord(0, "x")})
	for _, version := range []int16{4, fetchVersion, 12} {
		answer := kmsg.NewPtrFetchResponse()
		answer.SetVersion(version)
		of := kmsg.NewFetchResponseTopic()
		of.Topic = topic
		for i, batches := range [][]byte{
			slices.Concat(small, large, small), slices.Concat(large, small), slices.Concat(third, third, third, third), slices.Concat(third, small), small,
			slices.Concat(small, small[:20]),
		} {
			p := kmsg.NewFetchResponseTopicPartition()
			p.Partition, p.HighWatermark, p.RecordBatches = int32(i), 9, batches
			of.Partitions = append(of.Partitions, p)
		}
		answer.Topics = append(answer.Topics, of)
		header := make([]byte, 8)
		if answer.IsFlexible() {
			header = make([]byte, 9)
		}
		checked := checkAnswer(answer.AppendTo(header), version)
		got := kmsg.NewPtrFetchResponse()
		got.SetVersion(version)
		if err := got.ReadFrom(checked[len(header):]); err != nil || int(binary.BigEndian.Uint32(checked)) != len(checked)-4 {
			t.Fatal(err)
		}
		for i, want := range []struct {
			batches int
			err     sarama.KError
		}{{1, sarama.ErrNoError}, {0, sarama.ErrInvalidMessage}, {2, sarama.ErrNoError}, {0, sarama.ErrNoError}, {1, sarama.ErrNoError}, {1, sarama.ErrNoError}} {
			p := got.Topics[0].Partitions[i]
			if n := len(batchHeaders(p.RecordBatches)); n != want.batches || p.RecordBatches == nil || sarama.KError(p.ErrorCode) != want.err || p.HighWatermark != 9 {
				t.Errorf("version %d, partition %d: %d batches, error %d; want %+v", version, i, n, p.ErrorCode, want)
			}
		}
	}
}

// TestHeavyBatchesAreRead: many batches that decode to almost the limit, in the same answer as
// others, are read in several. One that needs more memory only by its headers is skipped.
func TestHeavyBatchesAreRead(t *testing.T) {
	t.Parallel()
	b := fixture{t, broker{addr: startKfake(t).Addr()}, Config{Topic: topic, GroupID: "heavy"}}
	b.cfg.Brokers = []string{b.addr}
	for range 10 {
		b.produceRaw(heavy(t, maxDecoded*9/10))
	}
	b.produceRaw(heavy(t, 2*maxDecoded))
	b.produceTo(0, events(0, 2)...)
	b.produceTo(1, events(2, 4)...)
	var s sink
	b.consume(&s)
	b.eventually("the good records are submitted", func() bool { return s.orders() == 4 })
	b.eventually("all is committed", func() bool { return b.committed() == 15 })
	undecodable := 0
	for _, l := range s.letters {
		if l.Reason == "undecodable" {
			undecodable++
		}
	}
	if undecodable != 1 || len(s.letters) != 11 { // the others are not JSON
		t.Errorf("%d of %d dead letters are undecodable, want 1 of 11", undecodable, len(s.letters))
	}
}
