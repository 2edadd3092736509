package devpostgres

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/dev"
	"service-courier/internal/dev/childtest"
)

func TestMain(m *testing.M) {
	if childtest.IsChild() {
		serverChild()
	}
	goleak.VerifyTestMain(m)
}

// reachableDir is a temporary directory that the server's user can enter when
// the tests run as root; the one of t.TempDir is closed to other users.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dev-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// eventually polls the state of another process.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !condition() {
		if dev.Sleep(ctx, 10*time.Millisecond) != nil {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// stopIn stops the server when the test ends.
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
