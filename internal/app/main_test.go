package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/ordersim"
)

// childDataDir makes the test binary play a `dev` on that directory, which is
// then killed.
const childDataDir = "APP_TEST_DEV_DATA"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDataDir); dir != "" {
		devChild(dir)
	}
	temp, err := reachableTemp()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if left, _ := os.ReadDir(temp); code == 0 && len(left) > 0 {
		fmt.Fprintln(os.Stderr, "left in the temporary directory:", left)
		code = 1
	}
	_ = os.RemoveAll(temp)
	if code != 0 {
		os.Exit(code)
	}
	err = goleak.Find(
		// sarama's metrics start one ticker for the whole process and never stop it.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		// sarama's circuit breaker sleeps out its ten seconds after an outage.
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// reachableTemp makes a temporary directory for all tests, to see at the end
// that nothing is left. PostgreSQL's user can enter it, also when that is not
// the tests' own.
func reachableTemp() (string, error) {
	dir, err := os.MkdirTemp("", "app-test-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.Setenv("TMPDIR", dir)
}

// dataDir is t.TempDir for PostgreSQL's user.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "data-") //nolint:usetesting // t.TempDir is closed to others
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755)) //nolint:gosec // as --data makes it
	return dir
}

// patience is for whatever other processes have to do.
const patience = 30 * time.Second

// running is a dev in this process.
type running struct {
	*dev
	out    *screen
	stop   context.CancelFunc
	result func() error // waits for the end
}

// startDev returns at once; see up.
func startDev(t *testing.T, cfg DevConfig) *running {
	t.Helper()
	cfg.PGBinDir = os.Getenv("PG_BIN_DIR")
	out := &screen{}
	ctx, stop := context.WithCancel(t.Context())
	d := newDev(cfg, out, t.Output())
	done := make(chan error, 1)
	go func() { done <- d.run(ctx) }()
	r := &running{dev: d, out: out, stop: stop, result: sync.OnceValue(func() error { return <-done })}
	t.Cleanup(func() {
		stop()
		_ = r.result()
		if t.Failed() {
			t.Logf("its output:\n%s", out)
		}
	})
	return r
}

// up waits for the banner.
func (r *running) up(t *testing.T) *running {
	t.Helper()
	r.out.await(t, `Ctrl-C stops everything`)
	return r
}

// end stops it as Ctrl-C does.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	must(t, r.result())
}

// screen is what a person sees.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await returns the first match of a pattern, and its groups.
func (s *screen) await(t *testing.T, pattern string) (match []string) {
	t.Helper()
	want := regexp.MustCompile(pattern)
	eventually(t, "shown: "+pattern, func() bool {
		match = want.FindStringSubmatch(s.String())
		return match != nil
	})
	return match
}

// eventually polls what another process or goroutine does.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// devChild runs in a rush until it is killed, or the test is gone.
func devChild(dir string) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	cfg := DevConfig{DataDir: dir, PGBinDir: os.Getenv("PG_BIN_DIR"), traffic: rush}
	fmt.Fprintln(os.Stderr, Dev(context.Background(), cfg, os.Stdout, os.Stderr))
	os.Exit(1)
}

// rush is some hundred events a second, more orders than couriers.
func rush(c *ordersim.Config) {
	shortLives(c)
	c.Every = 20 * time.Millisecond
}

// shortLives end orders in half a second and bring none.
func shortLives(c *ordersim.Config) {
	c.Steps = ordersim.DefaultSteps().Faster(2000)
	c.Every, c.BurstEvery = 0, 0
}
