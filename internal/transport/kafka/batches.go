package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"sync"

	"github.com/IBM/sarama"
	"github.com/klauspost/compress/gzip"
	snappy "github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxDecoded bounds the memory of the records in one answer to a fetch: sarama decodes
// an answer whole, and a batch of 4 KB may become 10 million headers. A batch that is too
// large alone becomes a dead letter without payload, so the limit is far above what
// producers send. Tests lower it.
var maxDecoded = maxDecompressedBatch

// What sarama allocates for a record and for a header, besides their bytes.
const (
	recordMemory = 280
	headerMemory = 64
)

var errMalformed = errors.New("its records do not match its header")

func errTooLarge() error {
	return fmt.Errorf("its records take more than %d bytes of memory", maxDecoded)
}

// checkedConn is a connection to a broker that passes on only what sarama can decode. It
// decompresses the batches in answers to fetches, and drops those that exceed the memory of
// one answer: they are fetched again. A partition whose first batch is malformed, or too
// large alone, gets ErrInvalidMessage.
type checkedConn struct {
	net.Conn
	heard  *answers // optional
	answer bytes.Buffer

	mu       sync.Mutex
	versions map[uint32]int16 // of the fetches without an answer, by correlation id
}

// Write implements net.Conn. sarama writes each request at once.
func (c *checkedConn) Write(b []byte) (int, error) {
	const header = 12 // length, key, version, correlation id
	if len(b) >= header && int16(binary.BigEndian.Uint16(b[4:])) == int16(kmsg.Fetch) {
		c.mu.Lock()
		if c.versions == nil {
			c.versions = make(map[uint32]int16)
		}
		c.versions[binary.BigEndian.Uint32(b[8:])] = int16(binary.BigEndian.Uint16(b[6:]))
		c.mu.Unlock()
	}
	return c.Conn.Write(b)
}

// Read implements net.Conn.
func (c *checkedConn) Read(b []byte) (int, error) {
	if c.answer.Len() == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	return c.answer.Read(b)
}

// next reads an answer: its length, then its correlation id and the rest.
func (c *checkedConn) next() error {
	c.answer.Reset()
	length := make([]byte, 4)
	if _, err := io.ReadFull(c.Conn, length); err != nil {
		return err
	}
	if c.heard != nil {
		c.heard.note()
	}
	size := binary.BigEndian.Uint32(length)
	if size > uint32(sarama.MaxResponseSize) {
		return fmt.Errorf("an answer of %d bytes: too large, or not Kafka's protocol", size)
	}
	c.answer.Write(length)
	if _, err := io.CopyN(&c.answer, c.Conn, int64(size)); err != nil {
		return err
	}
	if size < 4 {
		return nil
	}
	id := binary.BigEndian.Uint32(c.answer.Bytes()[4:])
	c.mu.Lock()
	version, isFetch := c.versions[id]
	delete(c.versions, id)
	c.mu.Unlock()
	if isFetch {
		if checked := checkAnswer(c.answer.Bytes(), version); checked != nil {
			c.answer = *bytes.NewBuffer(checked)
		}
	}
	return nil
}

// checkAnswer returns the answer with what sarama can decode, or nil if that is all of it.
func checkAnswer(answer []byte, version int16) []byte {
	const header = 8 // length and correlation id
	response := kmsg.NewPtrFetchResponse()
	response.SetVersion(version)
	end := header
	if response.IsFlexible() {
		end++ // the tags of the header: there are none
	}
	if len(answer) < end || response.ReadFrom(answer[end:]) != nil {
		return nil // sarama reports it
	}
	left, changed := maxDecoded, false
	for t := range response.Topics {
		for p := range response.Topics[t].Partitions {
			changed = checkPartition(&response.Topics[t].Partitions[p], &left) || changed
		}
	}
	if !changed {
		return nil
	}
	checked := response.AppendTo(bytes.Clone(answer[:end]))
	binary.BigEndian.PutUint32(checked, uint32(len(checked)-4))
	return checked
}

// checkPartition keeps the leading batches for which memory is left, decompressed.
func checkPartition(p *kmsg.FetchResponseTopicPartition, left *int) (changed bool) {
	all := p.RecordBatches
	kept, end := all[:0], 0 // kept is a part of all until a batch is decompressed
	for _, h := range batchHeaders(all) {
		batch, memory, err := checkBatch(all[end : end+h.size])
		if err != nil || memory > *left {
			if err != nil && end == 0 {
				p.ErrorCode = int16(sarama.ErrInvalidMessage)
			}
			p.RecordBatches = kept
			return true
		}
		end, *left = end+h.size, *left-memory
		switch {
		case changed:
			kept = append(kept, batch...)
		case len(batch) == h.size:
			kept = all[:end]
		default:
			kept, changed = append(slices.Clip(kept), batch...), true
		}
	}
	if changed {
		p.RecordBatches = append(kept, all[end:]...) // the rest is a part of a batch
	}
	return changed
}

// checkBatch returns a batch without compression, and the memory of its records. Kafka does
// not check the offsets in an uncompressed batch: with one beyond the end, sarama would skip
// the records of other producers.
func checkBatch(raw []byte) (batch []byte, memory int, err error) {
	const magic, crcStart, crcEnd, codecs = 16, 17, 21, 7
	if raw[magic] < 2 {
		return raw, len(raw), nil // formats before Kafka 0.11
	}
	var b kmsg.RecordBatch
	if b.ReadFrom(raw) != nil || b.NumRecords < 0 {
		return nil, 0, errMalformed
	}
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	if uint32(b.CRC) != crc32.Checksum(raw[crcEnd:], castagnoli) {
		return nil, 0, errors.New("its checksum is wrong")
	}
	codec := b.Attributes & codecs
	if b.Records, err = decompress(sarama.CompressionCodec(codec), b.Records); err != nil {
		return nil, 0, err
	}
	if memory, err = checkRecords(b); err != nil || codec == 0 {
		return raw, memory, err
	}
	b.Attributes &^= codecs
	b.Length += int32(len(b.Records)) - int32(len(raw)-batchOverhead)
	batch = b.AppendTo(nil)
	binary.BigEndian.PutUint32(batch[crcStart:], crc32.Checksum(batch[crcEnd:], castagnoli))
	return batch, memory, nil
}

// batchOverhead is the size of a batch without records.
const batchOverhead = 61

// checkRecords returns the memory of the records of a batch. Their offsets must rise, and
// be those of the batch.
func checkRecords(b kmsg.RecordBatch) (memory int, err error) {
	memory = len(b.Records)
	last := int64(-1)
	rest := fields{b.Records}
	for range b.NumRecords {
		if len(rest.bytes) == 0 {
			return 0, errMalformed
		}
		rest.varint()            // length
		rest.skip(1)             // attributes
		rest.varint()            // time
		delta := rest.varint()   // of the offset
		rest.skip(rest.varint()) // key
		rest.skip(rest.varint()) // value
		memory += recordMemory
		if delta <= last || delta > int64(b.LastOffsetDelta) {
			return 0, errMalformed
		}
		last = delta
		for headers := rest.varint(); headers > 0 && memory <= maxDecoded; headers-- {
			if len(rest.bytes) == 0 {
				return 0, errMalformed
			}
			rest.skip(rest.varint()) // key
			rest.skip(rest.varint()) // value
			memory += headerMemory
		}
		if memory > maxDecoded {
			return 0, errTooLarge()
		}
	}
	if len(rest.bytes) > 0 {
		return 0, errMalformed
	}
	return memory, nil
}

// fields reads the fields of records. What is malformed leaves no bytes.
type fields struct{ bytes []byte }

func (f *fields) varint() int64 {
	v, n := binary.Varint(f.bytes)
	if n <= 0 {
		f.bytes = nil
		return 0
	}
	f.bytes = f.bytes[n:]
	return v
}

// skip skips n bytes; -1 is the length of a field without value.
func (f *fields) skip(n int64) {
	switch {
	case n > int64(len(f.bytes)):
		f.bytes = nil
	case n > 0:
		f.bytes = f.bytes[n:]
	}
}

// newZstd returns a decoder that may be used concurrently.
var newZstd = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderMaxMemory(uint64(maxDecoded)))
})

// decompress returns at most maxDecoded bytes.
func decompress(codec sarama.CompressionCodec, data []byte) ([]byte, error) {
	switch codec {
	case sarama.CompressionNone:
		return data, nil
	case sarama.CompressionGZIP:
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return readAll(r)
	case sarama.CompressionLZ4:
		return readAll(lz4.NewReader(bytes.NewReader(data)))
	case sarama.CompressionSnappy:
		return decompressSnappy(data)
	case sarama.CompressionZSTD:
		decoder, err := newZstd()
		if err != nil {
			return nil, err
		}
		out, err := decoder.DecodeAll(data, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			err = errTooLarge()
		}
		return out, err
	}
	return nil, fmt.Errorf("unknown compression %d", codec)
}

func readAll(r io.Reader) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, int64(maxDecoded)+1))
	if err == nil && len(out) > maxDecoded {
		err = errTooLarge()
	}
	return out, err
}

// decompressSnappy doubles the size of the output until it is enough.
func decompressSnappy(data []byte) ([]byte, error) {
	for size := min(4*len(data)+1<<10, maxDecoded); ; size = min(2*size, maxDecoded) {
		out, err := snappy.DecodeCapped(make([]byte, 0, size), data)
		switch {
		case !errors.Is(err, snappy.ErrDstTooSmall):
			return out, err
		case size == maxDecoded:
			return nil, errTooLarge()
		}
	}
}
