package devmode

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/dev/ordersim"
)

// childDataDir makes the test binary run `dev` on that directory, to be killed.
const childDataDir = "APP_TEST_DEV_DATA"

// hostileVariables are PG variables of the caller's shell, each of which breaks a
// connection that follows it.
var hostileVariables = map[string]string{
	"PGSERVICE": "absent", "PGOPTIONS": "-c nonsense=1", "PGTARGETSESSIONATTRS": "standby", "PGSSLMODE": "verify-full",
	"PGHOST": "192.0.2.1", "PGPORT": "1", "PGUSER": "absent", "PGDATABASE": "absent", "PGPASSWORD": "wrong", "PGREQUIREAUTH": "none",
	"PGCHANNELBINDING": "require", "PGCONNECT_TIMEOUT": "0.0", "PGAPPNAME": "shell", "PGTZ": "Asia/Tokyo",
}

func TestMain(m *testing.M) {
	for name, value := range hostileVariables {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	if dir := os.Getenv(childDataDir); dir != "" {
		devChild(dir)
	}
	temp, err := reachableTemp()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// The tests mostly wait. The command line is read later and takes precedence.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := m.Run()
	if left, _ := os.ReadDir(temp); code == 0 && len(left) > 0 {
		fmt.Fprintln(os.Stderr, "files left in the temporary directory:", left)
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

// reachableTemp creates a temporary directory for all tests, which must be empty in
// the end. PostgreSQL's user can enter it, also when that is another user.
func reachableTemp() (string, error) {
	dir, err := os.MkdirTemp("", "devmode-test-")
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
	dir, err := os.MkdirTemp("", "data-") //nolint:usetesting // PostgreSQL's user cannot enter t.TempDir
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// patience is how long to wait for other processes.
const patience = time.Minute

// running is a dev in this process.
type running struct {
	*environment
	out    *screen
	stop   context.CancelFunc
	result func() error // waits for the end
}

// startDev returns at once; see up.
func startDev(t *testing.T, cfg Config) *running {
	t.Helper()
	cfg.PGBinDir = os.Getenv("PG_BIN_DIR")
	out := &screen{}
	ctx, stop := context.WithCancel(t.Context())
	d := newEnvironment(cfg, out, t.Output())
	done := make(chan error, 1)
	go func() { done <- d.run(ctx) }()
	r := &running{environment: d, out: out, stop: stop, result: sync.OnceValue(func() error { return <-done })}
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
	r.out.await(t, `Press Ctrl-C to stop`)
	return r
}

// end stops it as Ctrl-C does.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	must(t, r.result())
}

// screen collects the output.
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

// devChild runs under load until it is killed or the test ends.
func devChild(dir string) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	cfg := Config{DataDir: dir, PGBinDir: os.Getenv("PG_BIN_DIR"), traffic: rush}
	fmt.Fprintln(os.Stderr, Run(context.Background(), cfg, os.Stdout, os.Stderr))
	os.Exit(1)
}

// rush makes some hundred events a second, more orders than couriers.
func rush(c *ordersim.Config) {
	shortLives(c)
	c.Every = 20 * time.Millisecond
}

// shortLives ends orders in half a second and generates none.
func shortLives(c *ordersim.Config) {
	c.Steps = ordersim.DefaultSteps().Faster(2000)
	c.Every, c.BurstEvery = 0, 0
}
