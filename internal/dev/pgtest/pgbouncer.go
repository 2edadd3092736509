package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"service-courier/internal/dev"
	"service-courier/internal/dev/citest"
)

// PgBouncer is a connection pooler in front of a server.
type PgBouncer struct{ addr string }

// StartPgBouncer starts one in front of the server of database, for the role in its URL,
// until the test ends. Where PgBouncer is not installed, see citest.Missing.
func StartPgBouncer(tb testing.TB, database, mode string, settings ...string) PgBouncer {
	tb.Helper()
	program := findPgBouncer(tb)
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatal(err)
	}
	port := freePort(tb)
	password, _ := u.User.Password()
	dir := publicDir(tb)
	config := strings.Join(append([]string{
		"[databases]", fmt.Sprintf("* = host=%s port=%s", u.Hostname(), u.Port()),
		"[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + port, "unix_socket_dir =",
		"auth_type = trust", "auth_file = " + filepath.Join(dir, "users"), "pool_mode = " + mode, "query_wait_timeout = 20",
	}, settings...), "\n") + "\n"
	for name, content := range map[string]string{"config": config, "users": fmt.Sprintf("%q %q\n", u.User.Username(), password)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil { //nolint:gosec // PgBouncer's user reads it
			tb.Fatal(err)
		}
	}
	args := []string{filepath.Join(dir, "config")}
	if os.Geteuid() == 0 { // PgBouncer refuses to run as root
		args = append([]string{"-u", "daemon"}, args...)
	}
	command := exec.CommandContext(context.WithoutCancel(tb.Context()), program, args...) //nolint:gosec // the program is PgBouncer
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if tb.Failed() {
			tb.Logf("log of PgBouncer:\n%s", &log)
		}
	})
	p := PgBouncer{net.JoinHostPort("127.0.0.1", port)}
	p.await(tb)
	return p
}

func findPgBouncer(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	citest.Missing(tb, "PgBouncer (Debian: pgbouncer)")
	return ""
}

// publicDir returns a directory that PgBouncer's user can read.
func publicDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pgbouncer") //nolint:usetesting // TempDir is closed to other users
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // see above
		tb.Fatal(err)
	}
	return dir
}

func freePort(tb testing.TB) string {
	tb.Helper()
	listener, err := dev.Listen(tb.Context(), 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// await waits until PgBouncer listens.
func (p PgBouncer) await(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", p.addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		if dev.Sleep(ctx, 10*time.Millisecond) != nil {
			tb.Fatalf("PgBouncer does not listen: %v", err)
		}
	}
}

// URL returns the URL of database through PgBouncer, with these parameters.
func (p PgBouncer) URL(database string, parameters ...string) string {
	u, err := url.Parse(database)
	if err != nil {
		return database // impossible: StartPgBouncer has parsed a URL of the same server
	}
	u.Host, u.RawQuery = p.addr, strings.Join(append(parameters, "sslmode=disable"), "&")
	return u.String()
}
