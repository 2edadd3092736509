package realkafka_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"service-courier/test/realkafka"
)

// envOrphan makes this test binary the child of noOrphan.
const envOrphan = "SERVICE_COURIER_REALKAFKA_ORPHAN"

// holdBroker starts a broker, says where, and waits to be killed.
func holdBroker() {
	broker, err := realkafka.Start(context.Background(), realkafka.Options{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println(broker.Addr(), filepath.Dir(broker.LogPath()))
	select {}
}

// noOrphan kills a test process with SIGKILL, which runs no cleanup, and
// sees its broker and its directory go. Without the watchdog both stay, which
// was tried.
func noOrphan(t *testing.T) {
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), envOrphan+"=1")
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	killErr := child.Process.Kill()
	_ = child.Wait() // it was killed
	if err != nil || killErr != nil || strings.HasPrefix(line, "error") {
		t.Fatalf("the child said %q: %v, %v", line, err, killErr)
	}
	addr, dir, _ := strings.Cut(strings.TrimSpace(line), " ")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for listens(ctx, addr) || exists(dir) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after SIGKILL of the test process: broker listens %t, %s exists %t", listens(t.Context(), addr), dir, exists(dir))
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
