package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/usecase/orderevent"
)

// fetchTimeout bounds a fetch: meanwhile a revocation of the partition is not noticed.
const fetchTimeout = 3 * time.Second

// fetcher reads one partition without sarama's consumer. The consumer fetches all
// partitions of a broker together, so a batch that it cannot decode fails all of them,
// and it does not report offsets that have no record. The fetcher has its own client,
// and records each answer, whose batch headers say which offsets a batch has.
type fetcher struct {
	cfg       Config
	partition int32

	client sarama.Client // nil until needed, and after an error
	cancel context.CancelFunc
	answer *recording
	single bool // fetch one batch at a time, up to one that cannot be decoded
}

// fetched is the result of a fetch.
type fetched struct {
	records []*sarama.ConsumerMessage
	from    int64                  // the offset that was fetched
	next    int64                  // the offset after everything that was read
	end     int64                  // of the partition
	skipped *orderevent.DeadLetter // the batch before next cannot be decoded
	lost    int32                  // records of that batch
}

// fetch reads from an offset on, OffsetOldest included, without waiting for records.
func (f *fetcher) fetch(ctx context.Context, offset int64) (fetched, error) {
	got, err := f.read(ctx, offset)
	if err != nil {
		f.close()
	}
	return got, err
}

func (f *fetcher) read(ctx context.Context, offset int64) (got fetched, err error) {
	if err := f.connect(ctx); err != nil {
		return got, err
	}
	if offset < 0 {
		if offset, err = f.client.GetOffset(f.cfg.Topic, f.partition, offset); err != nil {
			return got, explain(err)
		}
	}
	got, failed, err := f.request(ctx, offset)
	if failed && !f.single {
		// Good batches may come first.
		f.single = true
		got, _, err = f.request(ctx, offset)
	}
	return got, err
}

// connect does not verify that the leader answers: sarama connects in the background.
func (f *fetcher) connect(ctx context.Context) error {
	if f.client != nil {
		return nil
	}
	conf, err := f.cfg.sarama()
	if err != nil {
		return err
	}
	// The connections end with the client, not with the context of one fetch.
	connections, cancel := context.WithCancel(context.WithoutCancel(ctx))
	withoutRetries(connections, conf, f.cfg.Brokers)
	conf.Metadata.RefreshFrequency = 0 // nothing else uses the connections
	conf.Net.ReadTimeout = fetchTimeout
	f.answer = &recording{}
	bindFetches(connections, conf, f.cfg.Brokers, f.answer, nil)
	limited, stop := f.limit(ctx, cancel)
	defer stop()
	seeds, _, err := f.cfg.seeds(limited)
	if err != nil {
		cancel()
		return err
	}
	client, err := sarama.NewClient(seeds, conf)
	if err != nil {
		cancel()
		return explainTimeout(limited, err)
	}
	f.client, f.cancel = client, cancel
	return nil
}

// limit returns a context of fetchTimeout whose end ends the connections.
func (f *fetcher) limit(ctx context.Context, cancel context.CancelFunc) (limited context.Context, stop func()) {
	limited, release := context.WithTimeout(ctx, fetchTimeout)
	unbind := context.AfterFunc(limited, cancel)
	return limited, func() { unbind(); release() }
}

func (f *fetcher) close() {
	if f.client != nil {
		f.cancel()
		_ = f.client.Close()
		f.client = nil
	}
}

// fetchVersion is supported by Kafka 2.3 to 4, and is not a flexible version, whose
// header would differ.
const fetchVersion = 11

// request sends one fetch. failed means that sarama could not decode the first batches.
// If a single batch was fetched, it is skipped then.
func (f *fetcher) request(ctx context.Context, offset int64) (got fetched, failed bool, err error) {
	ctx, stop := f.limit(ctx, f.cancel)
	defer stop()
	defer func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil { // not canceled by stop
			err = explainTimeout(ctx, err)
		}
		err = explain(err)
	}()
	leader, epoch, err := f.client.LeaderAndEpoch(f.cfg.Topic, f.partition)
	if err != nil {
		return got, false, err
	}
	if _, err := leader.Connected(); err != nil { // waits for the connection
		return got, false, err
	}
	size := f.client.Config().Consumer.Fetch.Default
	if f.single {
		size = 1 // a broker returns at least one batch
	}
	request := &sarama.FetchRequest{Version: fetchVersion, MinBytes: 1, MaxBytes: size, SessionEpoch: -1}
	request.AddBlock(f.cfg.Topic, f.partition, offset, size, epoch)
	f.answer.start(stop) // decoding may take longer than the limit
	response, decodeErr := leader.Fetch(request)
	answer, err := f.answer.parse(request.Version)
	if err != nil {
		return got, false, errors.Join(decodeErr, err)
	}
	if _, broken := errors.AsType[*net.OpError](decodeErr); broken {
		// The connection was closed while a complete answer was checked, as when the partition
		// is revoked: this says nothing about the batch.
		return got, false, decodeErr
	}
	if code := sarama.KError(answer.ErrorCode); !errors.Is(code, sarama.ErrNoError) {
		return got, false, code
	}
	got = fetched{from: offset, next: offset, end: answer.HighWatermark}
	headers := batchHeaders(answer.RecordBatches)
	if decodeErr == nil {
		block := response.GetBlock(f.cfg.Topic, f.partition)
		if block == nil {
			return got, false, sarama.ErrIncompleteResponse
		}
		got.records = f.messages(block, offset)
		got.next = max(offset, decodedUpTo(block, headers))
	}
	if got.next > offset || len(headers) == 0 {
		return got, false, nil
	}
	if f.single {
		f.single = false
		first := headers[0]
		if decodeErr == nil {
			_, _, decodeErr = checkBatch(answer.RecordBatches[:first.size])
		}
		if decodeErr == nil { // sarama regards the batch as incomplete
			decodeErr = errMalformed
		}
		got.records, got.next, got.lost = nil, max(offset, first.last)+1, first.records
		got.skipped = undecodable(f.cfg.Topic, f.partition, first, decodeErr)
	}
	return got, true, nil
}

// messages returns the records of a decoded answer, as sarama's consumer does.
func (f *fetcher) messages(block *sarama.FetchResponseBlock, from int64) []*sarama.ConsumerMessage {
	var out []*sarama.ConsumerMessage
	add := func(m sarama.ConsumerMessage) {
		if m.Offset >= from {
			m.Topic, m.Partition = f.cfg.Topic, f.partition
			receiveTime{}.OnConsume(&m)
			out = append(out, &m)
		}
	}
	for _, set := range block.RecordsSet {
		if b := set.RecordBatch; b != nil && !b.Control {
			for _, r := range b.Records {
				at := b.FirstTimestamp.Add(r.TimestampDelta)
				if b.LogAppendTime {
					at = b.MaxTimestamp
				}
				add(sarama.ConsumerMessage{Headers: r.Headers, Timestamp: at, Key: r.Key, Value: r.Value, Offset: b.FirstOffset + r.OffsetDelta})
			}
		}
		if set.MsgSet == nil {
			continue
		}
		for _, outer := range set.MsgSet.Messages { // formats before Kafka 0.11
			inner := outer.Messages()
			var base int64
			if n := len(inner); n > 0 && inner[0].Msg.Version >= 1 {
				base = outer.Offset - inner[n-1].Offset
			}
			for _, m := range inner {
				add(sarama.ConsumerMessage{Timestamp: m.Msg.Timestamp, Key: m.Msg.Key, Value: m.Msg.Value, Offset: base + m.Offset})
			}
		}
	}
	return out
}

// decodedUpTo returns the offset after the leading batches that were decoded; -1 if the
// first was not. sarama omits batches that compaction has emptied, and everything behind
// a batch that it regards as incomplete.
func decodedUpTo(block *sarama.FetchResponseBlock, headers []batchHeader) int64 {
	decoded, legacy := make(map[int64]bool), int64(-1)
	for _, set := range block.RecordsSet {
		if b := set.RecordBatch; b != nil && !b.PartialTrailingRecord {
			decoded[b.FirstOffset] = true
		}
		if set.MsgSet != nil && len(set.MsgSet.Messages) > 0 {
			legacy = max(legacy, set.MsgSet.Messages[len(set.MsgSet.Messages)-1].Offset)
		}
	}
	next := int64(-1)
	for _, h := range headers {
		if h.records > 0 && !decoded[h.first] && h.last > legacy {
			break
		}
		next = h.last + 1
	}
	return next
}

// batchHeader is the uncompressed header of a batch.
type batchHeader struct {
	first, last int64 // offsets
	records     int32
	size        int
	at          time.Time // of the first record
}

// batchHeaders reads the headers of the complete batches of an answer.
func batchHeaders(raw []byte) []batchHeader {
	const lengthEnd, magic = 12, 16 // the same place in every format
	var out []batchHeader
	for len(raw) > magic {
		size := lengthEnd + int(int32(binary.BigEndian.Uint32(raw[8:])))
		if size <= magic || size > len(raw) {
			break
		}
		h := batchHeader{size: size, records: 1, at: time.UnixMilli(0).UTC()}
		h.last = int64(binary.BigEndian.Uint64(raw))
		h.first = h.last // a compressed set of old messages has the offset of its last
		var b kmsg.RecordBatch
		if raw[magic] >= 2 && b.ReadFrom(raw[:size]) == nil {
			h.first, h.last = b.FirstOffset, b.FirstOffset+int64(max(0, b.LastOffsetDelta))
			h.records, h.at = b.NumRecords, time.UnixMilli(b.FirstTimestamp).UTC()
		}
		out, raw = append(out, h), raw[size:]
	}
	return out
}

// recording keeps what a client's connections receive.
type recording struct {
	mu       sync.Mutex
	received func() // is called once an answer is complete; nil: nothing is kept
	buf      []byte
}

func (r *recording) start(received func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.received, r.buf = received, nil
}

func (r *recording) add(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.received == nil {
		return
	}
	r.buf = append(r.buf, b...)
	if complete(r.buf) {
		r.received()
	}
}

// complete reports whether an answer has the length that it begins with.
func complete(answer []byte) bool {
	return len(answer) >= 4 && len(answer)-4 == int(binary.BigEndian.Uint32(answer))
}

// parse ends the recording and returns the only partition of the answer to a fetch.
func (r *recording) parse(version int16) (p kmsg.FetchResponseTopicPartition, err error) {
	r.mu.Lock()
	frame := r.buf
	r.received, r.buf = nil, nil
	r.mu.Unlock()
	const header = 8 // length and correlation id
	if len(frame) < header || !complete(frame) {
		return p, errors.New("no complete answer to a fetch")
	}
	response := kmsg.NewPtrFetchResponse()
	response.SetVersion(version)
	if err := response.ReadFrom(frame[header:]); err != nil {
		return p, fmt.Errorf("answer to a fetch: %w", err)
	}
	if len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 {
		return p, fmt.Errorf("answer to a fetch: %w", sarama.KError(response.ErrorCode))
	}
	return response.Topics[0].Partitions[0], nil
}

// recordedConn adds what is read to a recording.
type recordedConn struct {
	net.Conn
	to *recording
}

// Read implements net.Conn.
func (c recordedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.to.add(b[:n])
	return n, err
}

// startTLS returns an encrypted connection to addr.
func startTLS(ctx context.Context, conn net.Conn, addr string, conf *tls.Config) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	conf = conf.Clone()
	conf.ServerName = host
	encrypted := tls.Client(conn, conf)
	return encrypted, encrypted.HandshakeContext(ctx)
}
