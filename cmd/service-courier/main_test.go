package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/dev/pgtest"
)

// asProgram makes the test binary run the program itself.
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
	temp, err := os.MkdirTemp("", "cmd-test-") //nolint:usetesting // PostgreSQL's user cannot enter t.TempDir
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(temp)) })
	must(t, os.Chmod(temp, 0o1777|os.ModeSticky)) // as /tmp: PostgreSQL's user may remove its own files
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &program{cmd: cmd, temp: temp, out: bufio.NewReader(out)}
}

// await reads up to a line that contains text, and returns it.
func (p *program) await(t *testing.T, text string) string {
	t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		if strings.Contains(line, text) {
			return line
		}
		if err != nil {
			t.Fatalf("%v; never printed %q", err, text)
		}
	}
}

// exit returns the exit code, and waits until the temporary directory is empty:
// after a second signal the watchdog is still cleaning up.
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

// Ctrl-C is no failure and leaves no files.
func TestInterruptEndsDev(t *testing.T) {
	t.Parallel()
	dev := start(t, "dev")
	dev.await(t, "Press Ctrl-C to stop")
	must(t, dev.cmd.Process.Signal(os.Interrupt))
	dev.await(t, "stopped; all data is removed")
	if code := dev.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A second signal waits for nothing, such as the rest of this incomplete request, and
// leaves no files either.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	dev := start(t, "dev", "--quiet")
	banner := strings.Fields(dev.await(t, "/readyz, /metrics"))
	dev.await(t, "Press Ctrl-C to stop")
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(banner[1], "http://"))
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /courier HTTP/1.1\r\nHost: dev\r\nContent-Length: 9\r\n\r\n{")
	must(t, err)
	must(t, dev.cmd.Process.Signal(os.Interrupt))
	var again sync.WaitGroup
	again.Go(func() { // one that comes too soon belongs to the first
		for dev.cmd.Process.Signal(syscall.SIGTERM) == nil {
			<-time.After(10 * time.Millisecond)
		}
	})
	defer again.Wait()
	if code := dev.exit(t); code != 130 {
		t.Errorf("exit code %d", code)
	}
}

// Signals within a short time are one.
func TestAwaitSecondSignal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals, done := make(chan os.Signal), make(chan struct{})
		go func() { defer close(done); awaitSecond(signals) }()
		for range 2 {
			signals <- syscall.SIGTERM
			synctest.Wait()
			select {
			case <-done:
				t.Fatal("a signal of the same moment counts as the second")
			default:
			}
		}
		time.Sleep(sameSignal + 1)
		signals <- syscall.SIGTERM
		<-done
	})
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"devv":                        "unknown command \"devv\" for \"service-courier\"",
		"dev now":                     "unknown command \"now\" for \"service-courier dev\"",
		"dev --frob":                  "unknown flag: --frob\nSee 'service-courier dev --help'",
		"dev --http-port http":        "--http-port\" flag: want a number from 1 to 65535",
		"dev --kafka-port 0":          "--kafka-port\" flag: want a number from 1 to 65535",
		"orders assign o --courier x": "invalid value \"x\" of --courier: want a number\nSee",
		"migrate upp":                 "unknown command \"upp\" for \"service-courier migrate\"",
		"dev --data=":                 "--data is empty: name a directory, or omit the flag for temporary data",
	} {
		cmd := root()
		cmd.SetArgs(strings.Fields(args))
		if err := execute(t.Context(), cmd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

// The help of dev names each flag with its argument.
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

// TestLogPipeClosed: 'serve 2>&1 | head' ends the log, not the service, which still
// shuts down on SIGTERM. Without its dependencies it logs all the time.
func TestLogPipeClosed(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	reader, writer, err := os.Pipe()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self, "serve")
	cmd.Dir = t.TempDir() // no .env
	cmd.Env = append(os.Environ(), asProgram+"=1", "HTTP_ADDR=127.0.0.1:0", "LOG_LEVEL=debug",
		"DATABASE_URL=postgres://me@127.0.0.1:1/x", "KAFKA_BROKERS=127.0.0.1:1", "ORDER_SERVICE_URL=http://127.0.0.1:1")
	cmd.Stdout, cmd.Stderr = writer, writer
	must(t, cmd.Start())
	must(t, writer.Close())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	log := bufio.NewScanner(reader)
	addr := ""
	for addr == "" && log.Scan() {
		if found := regexp.MustCompile(`"addr":"([^"]+)"`).FindStringSubmatch(log.Text()); found != nil {
			addr = found[1]
		}
	}
	must(t, reader.Close())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("ended with its log: %v", err)
	case <-time.After(3 * time.Second):
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-ended:
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			t.Errorf("no shutdown: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("does not end on SIGTERM")
	}
}
