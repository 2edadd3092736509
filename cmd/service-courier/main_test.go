package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/devstack/pgtest"
)

// asProgram makes the test binary the program itself.
const asProgram = "SERVICE_COURIER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(pgtest.Main(m))
}

// program is a running copy of the command.
type program struct {
	cmd  *exec.Cmd
	temp string // its TMPDIR
	out  *bufio.Reader
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	temp, err := os.MkdirTemp("", "cmd-test-") //nolint:usetesting // t.TempDir is closed to PostgreSQL's user
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(temp)) })
	must(t, os.Chmod(temp, 0o1777|os.ModeSticky)) // as /tmp: whoever runs PostgreSQL may remove what is his
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &program{cmd: cmd, temp: temp, out: bufio.NewReader(out)}
}

// await reads on to a line that holds text, and returns it.
func (p *program) await(t *testing.T, text string) string {
	t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		if strings.Contains(line, text) {
			return line
		}
		if err != nil {
			t.Fatalf("%v, and never %q", err, text)
		}
	}
}

// exit returns the exit code, and waits until nothing of it is left in the
// temporary directory: after a second signal the watchdog is still at it.
func (p *program) exit(t *testing.T) int {
	t.Helper()
	_, _ = io.Copy(io.Discard, p.out)
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(10 * time.Millisecond) {
		left, err := filepath.Glob(filepath.Join(p.temp, "*"))
		must(t, err)
		if len(left) == 0 {
			return p.cmd.ProcessState.ExitCode()
		}
		if time.Now().After(deadline) {
			t.Fatalf("left: %v", left)
		}
	}
}

// Ctrl-C is how a person ends it: no failure, and nothing is left.
func TestInterruptEndsDev(t *testing.T) {
	t.Parallel()
	dev := start(t, "dev")
	dev.await(t, "Ctrl-C stops everything")
	must(t, dev.cmd.Process.Signal(os.Interrupt))
	dev.await(t, "stopped; nothing is left of this run")
	if code := dev.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Another signal does not wait for anything, such as the half of a request that is
// missing here, and leaves nothing either.
func TestAnotherSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	dev := start(t, "dev", "--quiet")
	banner := strings.Fields(dev.await(t, "/openapi.json"))
	dev.await(t, "Ctrl-C stops everything")
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(banner[1], "http://"))
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /courier HTTP/1.1\r\nHost: dev\r\nContent-Length: 9\r\n\r\n{")
	must(t, err)
	must(t, dev.cmd.Process.Signal(os.Interrupt))
	var again sync.WaitGroup
	again.Go(func() { // for one that comes too soon belongs to the first
		for dev.cmd.Process.Signal(syscall.SIGTERM) == nil {
			<-time.After(10 * time.Millisecond)
		}
	})
	defer again.Wait()
	if code := dev.exit(t); code != 130 {
		t.Errorf("exit code %d", code)
	}
}

// Signals that come together are one.
func TestAwaitAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals, done := make(chan os.Signal), make(chan struct{})
		go func() { defer close(done); awaitAnother(signals) }()
		for range 2 {
			signals <- syscall.SIGTERM
			synctest.Wait()
			select {
			case <-done:
				t.Fatal("a signal of the same moment is taken for another")
			default:
			}
		}
		time.Sleep(together + 1) // of the bubble's clock
		signals <- syscall.SIGTERM
		<-done
	})
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"devv":                 "unknown command \"devv\"",
		"dev now":              "unknown command \"now\" for \"service-courier dev\"",
		"dev --frob":           "unknown flag: --frob; service-courier dev --help lists the flags",
		"dev --http-port http": "--http-port\" flag: want a number from 1 to 65535",
		"dev --kafka-port 0":   "--kafka-port\" flag: want a number from 1 to 65535",
		"migrate upp":          "unknown command \"upp\" for \"service-courier migrate\"",
		"dev --data=":          "--data is empty; name a directory, or leave the flag out to keep nothing",
	} {
		cmd := root()
		cmd.SetArgs(strings.Fields(args))
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

// The help of dev names each flag and what it wants.
func TestHelpOfDev(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"dev", "--help"})
	must(t, cmd.ExecuteContext(t.Context()))
	for _, want := range []string{"--data DIR", "--quiet", "--verbose", "--http-port PORT", "--order-port PORT", "--kafka-port PORT", "--postgres-port PORT", "PG_BIN_DIR", "8082", "8080", "19092"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in:\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 101 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
