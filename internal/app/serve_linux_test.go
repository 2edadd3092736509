package app

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"service-courier/internal/config"
)

// TestFailedListenerEndsTheService: a service whose API cannot be reached any more
// ends with an error, so that its supervisor restarts it.
func TestFailedListenerEndsTheService(t *testing.T) {
	t.Parallel()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().(*net.TCPAddr)
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, config.Config{
			HTTPAddr: addr.String(), DatabaseURL: "postgres://me@127.0.0.1:1/courier", KafkaBrokers: []string{"127.0.0.1:1"},
			KafkaTopic: "t", KafkaGroupID: "g", OrderServiceURL: "http://127.0.0.1:1",
		}, slog.New(slog.DiscardHandler))
	}()
	for !shutListener(addr.Port) && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "serve HTTP") || ctx.Err() != nil {
		t.Errorf("ended with %v (%v), want the error of the listener", err, ctx.Err())
	}
}

// shutListener shuts down the listening socket of this process at the port, whose
// accept fails then. It returns false if there is none.
func shutListener(port int) bool {
	for fd := 3; fd < 4096; fd++ {
		listening, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err != nil || listening == 0 {
			continue
		}
		name, err := syscall.Getsockname(fd)
		if at, ok := name.(*syscall.SockaddrInet4); err == nil && ok && at.Port == port {
			return syscall.Shutdown(fd, syscall.SHUT_RDWR) == nil
		}
	}
	return false
}
