package devstack

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childRole makes the test binary play a process that is then killed.
const childRole = "DEVSTACK_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "postgres":
		postgresChild()
	case "kafka":
		kafkaChild()
	default:
		// sarama's metrics start one goroutine a process, which never ends.
		goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
	}
}

// child is a running copy of the test binary.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// startChild runs one with an argument and decodes the line that it reports.
func startChild(t *testing.T, role, argument string, report any) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, argument)
	cmd.Env = append(os.Environ(), childRole+"="+role)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, stdin: stdin}
	t.Cleanup(c.kill)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("child %s reported nothing: %v", role, err)
	}
	if err := json.Unmarshal(line, report); err != nil {
		t.Fatalf("child %s: %v in %q", role, err, line)
	}
	return c
}

// kill is kill -9: the child has no say.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// reportAndWait is the child's side; it also ends when the test dies.
func reportAndWait(report any) {
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		childFailed(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

func childFailed(err error) {
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1)
}

// reachableDir is a temporary directory that the server's user can enter even
// when the tests run as root; the one of t.TempDir is closed to others.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devstack-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// eventually polls what another process does.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !condition() {
		if pause(ctx, 10*time.Millisecond) != nil {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// stopIn ends what a test started, whatever became of the test's own context.
func stopIn(t *testing.T, stop func(context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
