package devkafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestForeignProtocolsAreRefused: a request of any other protocol is refused by its
// length, before memory is allocated for it, and other clients are served on.
func TestForeignProtocolsAreRefused(t *testing.T) {
	var log lockedBuffer
	broker, err := Start(t.Context(), Config{Port: AnyPort, Topics: map[string]int{testTopic: 1}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	stopIn(t, broker.Stop)
	before := allocated()
	foreign := []string{
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "POST / HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00", "SSH-2.0-x\r\n", "\xff\xff\xff\xff\x00", string(binary.BigEndian.AppendUint32(nil, maxFrame+1)),
		"\x00\x00\x00\x0a\x7f\xff\x00\x00\x00\x00\x00\x00\xff\xff", "\x00\x00\x00\x00",
	}
	for _, request := range foreign {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", broker.Addr())
		must(t, err)
		_, err = conn.Write([]byte(request))
		must(t, err)
		must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
			t.Fatalf("%q: %d bytes, %v; want the connection to be closed", request, n, err)
		}
		_ = conn.Close()
	}
	if took := allocated() - before; took > 8<<20 {
		t.Errorf("%d MiB were allocated", took>>20)
	}
	if n := strings.Count(log.String(), "Kafka request refused"); n != len(foreign) {
		t.Errorf("logged %d times, want %d", n, len(foreign))
	}
	must(t, produce(broker.Addr(), 1, 0, 1))
}

// TestClaimedTagsAreNotCounted: a request may claim 4,294,967,295 tagged fields that it does
// not have, in its header or its body. kmsg 1.15.0 counted them, for minutes.
func TestClaimedTagsAreNotCounted(t *testing.T) {
	broker, err := Start(t.Context(), Config{Port: AnyPort, Topics: map[string]int{testTopic: 1}, Logger: silent()})
	must(t, err)
	stopIn(t, broker.Stop)
	const (
		header = "\x00\x12\x00\x03\x00\x00\x00\x07\xff\xff" // ApiVersions 3 without the name of the client
		claim  = "\xff\xff\xff\xff\x0f"
	)
	for name, request := range map[string]string{"header": header + claim, "body": header + "\x00" + "\x01\x01" + claim} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", broker.Addr())
		must(t, err)
		_, err = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...))
		must(t, err)
		must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
			t.Errorf("%s: %d bytes, %v; want the connection to be closed", name, n, err)
		}
		_ = conn.Close()
	}
}

// TestClaimedLengthIsNotAllocated: the memory of a request grows with what was received.
func TestClaimedLengthIsNotAllocated(t *testing.T) {
	client, server := net.Pipe()
	t.Cleanup(func() { _ = server.Close() })
	read := make(chan error, 1)
	before := allocated()
	go func() {
		_, err := (&framedConn{Conn: server, log: silent()}).Read(make([]byte, 1))
		read <- err
	}()
	_, err := client.Write(append(binary.BigEndian.AppendUint32(nil, maxFrame), make([]byte, 100)...))
	must(t, err)
	must(t, client.Close())
	if err := <-read; err == nil {
		t.Error("a part of a request is passed on")
	}
	if took := allocated() - before; took > maxFrame/4 {
		t.Errorf("%d KiB were allocated for 100 bytes", took>>10)
	}
}

// TestFramesAreUnchanged: requests arrive byte for byte, however they are split.
func TestFramesAreUnchanged(t *testing.T) {
	client, server := net.Pipe()
	frames := bytes.Repeat(append(binary.BigEndian.AppendUint32(nil, 5), "\x00\x12abc"...), 3) // ApiVersions
	go func() {
		defer func() { _ = client.Close() }()
		for _, b := range frames {
			if _, err := client.Write([]byte{b}); err != nil {
				return
			}
		}
	}()
	got, err := io.ReadAll(&framedConn{Conn: server, log: silent()})
	if err != nil || !bytes.Equal(got, frames) {
		t.Errorf("%q, %v", got, err)
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
