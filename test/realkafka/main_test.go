package realkafka_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/dev"
	"service-courier/internal/dev/childtest"
	"service-courier/test/realkafka"
)

func TestMain(m *testing.M) {
	if childtest.IsChild() {
		brokerChild()
	}
	goleak.VerifyTestMain(m,
		// sarama's metrics start one ticker per process that never stops.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

type childReport struct{ Addr, Dir string }

// brokerChild starts a broker and waits to be killed.
func brokerChild() {
	broker, err := realkafka.Start(context.Background(), realkafka.Options{})
	if err != nil {
		childtest.Fail(err)
	}
	childtest.ReportAndWait(childReport{broker.Addr(), filepath.Dir(broker.LogPath())})
}

// noOrphan kills a test process with SIGKILL, and expects that its broker and directory
// disappear. Fails without the watchdog.
func noOrphan(t *testing.T) {
	var child childReport
	childtest.Start(t, "", &child)()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for listens(ctx, child.Addr) || exists(child.Dir) {
		if dev.Sleep(ctx, 10*time.Millisecond) != nil {
			t.Fatalf("after SIGKILL of the test process: broker listens %t, %s exists %t", listens(t.Context(), child.Addr), child.Dir, exists(child.Dir))
		}
	}
}

func listens(ctx context.Context, addr string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
