package devpostgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"service-courier/internal/dev"
)

// dataDir is the directory of a cluster:
//
//	lock          held by the parent process
//	password      of the superuser, mode 0600
//	data/         the cluster
//	postgres.log  of this start; postgres.log.old of the previous one
type dataDir struct {
	root string
	user account
	lock *dev.FileLock
}

func (d *dataDir) cluster() string  { return filepath.Join(d.root, "data") }
func (d *dataDir) logPath() string  { return filepath.Join(d.root, "postgres.log") }
func (d *dataDir) password() string { return filepath.Join(d.root, "password") }

// openDataDir creates the directory if missing, gives it to the server's user
// and locks it.
func openDataDir(root string, user account) (_ *dataDir, err error) {
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return nil, dev.DirError(root, err)
	}
	if err := os.Mkdir(root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, dev.DirError(root, err)
	}
	// The server's command line names the resolved directory, see runs.
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, dev.DirError(root, err)
	}
	if err := user.checkReach(filepath.Dir(root)); err != nil {
		return nil, fmt.Errorf("data directory %s: %w; choose another one, such as one under /var/lib", root, err)
	}
	d := &dataDir{root: root, user: user}
	if err := d.acquire(); err != nil {
		return nil, err
	}
	return d, nil
}

// acquire locks the directory and gives it to the server's user. It refuses a directory
// with other content, whose owner must not change.
func (d *dataDir) acquire() error {
	entries, err := os.ReadDir(d.root)
	if err != nil {
		return dev.DirError(d.root, err)
	}
	lock := filepath.Join(d.root, "lock")
	if _, err := os.Lstat(lock); err != nil && len(entries) > 0 {
		return fmt.Errorf("data directory %s: holds files other than a cluster of service-courier; choose an empty or a new directory", d.root)
	}
	if d.lock, err = dev.TryLock(lock); err != nil {
		return dev.DirError(d.root, err)
	}
	if err := d.user.own(d.root); err != nil {
		d.close()
		return dev.DirError(d.root, err)
	}
	return nil
}

func (d *dataDir) close() { d.lock.Release() }

// major is the PostgreSQL version that created the cluster, 0 without a cluster.
func (d *dataDir) major() (int, error) {
	text, err := os.ReadFile(filepath.Join(d.cluster(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, dev.DirError(d.root, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// openLog starts a new log and keeps the previous one: the log stays small, and
// a crash can be read after the restart.
func (d *dataDir) openLog() (*os.File, error) {
	if err := os.Rename(d.logPath(), d.logPath()+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(d.logPath(), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
}

// superuserPassword reads the password. A new cluster gets a new one, written
// before initdb so that no cluster is left without its password.
func (d *dataDir) superuserPassword(newCluster bool) (string, error) {
	text, err := os.ReadFile(d.password())
	if err == nil && len(text) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if !newCluster {
		return "", fmt.Errorf("data directory %s: the password file is missing or empty; remove the directory to start with a new cluster", d.root)
	}
	_ = os.Remove(d.password()) // empty, from a start that was killed
	password := rand.Text()
	if err := writeNew(d.password(), password+"\n"); err != nil {
		return "", dev.DirError(d.root, err)
	}
	return password, d.user.own(d.password())
}

// writeNew follows no link: root writes into a directory of another user.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// createCluster runs initdb in a second directory and renames it, so that an
// incomplete cluster is never started.
func (s *Server) createCluster(ctx context.Context) error {
	target := filepath.Join(s.dir.root, "data.new")
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	args := s.initdbArgs()
	if s.cfg.Fast {
		args = append(args, "--no-sync")
	}
	if err := s.initdb(ctx, target, s.dir.password(), args); err != nil {
		return err
	}
	return os.Rename(target, s.dir.cluster())
}

func (s *Server) initdbArgs() []string {
	return append([]string{"-U", superuser, "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"}, localeArgs(s.bin.major)...)
}

func (s *Server) initdb(ctx context.Context, target, passwordFile string, args []string) error {
	return s.runChild(ctx, s.bin.initdb(), append([]string{"-D", target, "--pwfile=" + passwordFile}, args...)...)
}

// runChild runs a program as the server's user to its end. The watchdog ends it with this
// process.
func (s *Server) runChild(ctx context.Context, program string, args ...string) error {
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = childEnv()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = s.user.sysProcAttr()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second

	if err := cmd.Start(); err != nil {
		return startError(err, s.user, program)
	}
	watchErr := s.watchdog.watch("group", cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		name := filepath.Base(program)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", name, context.Cause(ctx))
		}
		return fmt.Errorf("%s in %s: %w\n%s", name, s.dir.root, err, tail(output.Bytes()))
	}
	if watchErr != nil {
		return watchErr
	}
	return s.watchdog.watch("none", 0)
}

// localeArgs make every machine sort and compare by bytes. Since PostgreSQL 17
// a built-in locale also knows the case of non-ASCII letters.
func localeArgs(major int) []string {
	if major >= 17 {
		return []string{"--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"}
	}
	return []string{"--locale=C"}
}

// tail returns the end of a log, for an error message.
func tail(log []byte) []byte {
	const limit = 2000
	log = bytes.TrimSpace(log)
	if len(log) <= limit {
		return log
	}
	log = log[len(log)-limit:]
	if _, rest, found := bytes.Cut(log, []byte("\n")); found {
		log = rest
	}
	return log
}

// stopOrphan stops a server that still runs on the directory after the end of
// its parent: the watchdog has not stopped it yet, or was killed too. It also
// removes a pid file with the pid of an unrelated process, since the server
// would refuse to start.
func (d *dataDir) stopOrphan(ctx context.Context) error {
	pidFile := filepath.Join(d.cluster(), "postmaster.pid")
	pid, err := readPIDFile(pidFile)
	if err != nil || pid == 0 {
		return err
	}
	if !alive(pid) {
		return nil // the server removes the file
	}
	if !d.runs(ctx, pid) {
		if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return d.stopServer(ctx, pid)
}

// stopServer does what process.stop does, for a server that is not a child.
func (d *dataDir) stopServer(ctx context.Context, pid int) error {
	for _, step := range []stopStep{
		{syscall.SIGINT, 10 * time.Second},
		{syscall.SIGQUIT, 7 * time.Second},
		{syscall.SIGKILL, 2 * time.Second},
	} {
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the PostgreSQL server that still runs on %s (pid %d): %w", d.root, pid, err)
		}
		deadline := time.Now().Add(step.wait)
		for time.Now().Before(deadline) {
			if !d.runs(ctx, pid) {
				return nil
			}
			if err := dev.Sleep(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the PostgreSQL server that still runs on %s (pid %d) does not stop; kill it", d.root, pid)
}

// readPIDFile returns 0 without a file, or without a number in it.
func readPIDFile(path string) (int, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return 0, nil //nolint:nilerr // half written by a server that was killed
	}
	return pid, nil
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// runs reports whether pid is a server on this directory: pids are reused, very
// soon in containers. A zombie has no command line.
func (d *dataDir) runs(ctx context.Context, pid int) bool {
	line := commandLine(ctx, pid)
	return strings.Contains(line, "postgres") && strings.Contains(line+" ", "-D "+d.cluster()+" ")
}

// commandLine is empty if there is no such process. On Linux /proc has it, so
// that ps need not be installed.
func commandLine(ctx context.Context, pid int) string {
	if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		return string(bytes.ReplaceAll(bytes.TrimRight(raw, "\x00"), []byte{0}, []byte(" ")))
	}
	out, err := exec.CommandContext(ctx, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
