package devstack

import (
	"bytes"
	"context"
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
)

// stopOrphan ends a server that still runs on the directory although its
// parent, who held the directory's lock, is gone: the watchdog is at it, or was
// killed too. It also removes a pid file that names a stranger, on which a
// server would refuse to start.
func (d *dataDir) stopOrphan(ctx context.Context) error {
	pidFile := filepath.Join(d.cluster(), "postmaster.pid")
	pid, err := readPIDFile(pidFile)
	if err != nil || pid == 0 {
		return err
	}
	if !alive(pid) {
		return nil // the server cleans up itself, after its own checks
	}
	if !d.runs(ctx, pid) {
		if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return d.stopServer(ctx, pid)
}

// stopServer is process.stop for a server that is not a child.
func (d *dataDir) stopServer(ctx context.Context, pid int) error {
	for _, step := range []stopStep{
		{syscall.SIGINT, 10 * time.Second},
		{syscall.SIGQUIT, 7 * time.Second},
		{syscall.SIGKILL, 2 * time.Second},
	} {
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the server left on %s (pid %d): %w", d.root, pid, err)
		}
		deadline := time.Now().Add(step.wait)
		for time.Now().Before(deadline) {
			if !d.runs(ctx, pid) {
				return nil
			}
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("a server left on %s (pid %d) does not stop; stop it by hand", d.root, pid)
}

// readPIDFile returns 0 when there is no such file or no number in it.
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
		return 0, nil //nolint:nilerr // half written by a server that was killed: nobody runs
	}
	return pid, nil
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// runs says whether pid is a server on this very directory: pids are reused,
// soonest of all in containers. A zombie has no command line and is none.
func (d *dataDir) runs(ctx context.Context, pid int) bool {
	line := commandLine(ctx, pid)
	return strings.Contains(line, "postgres") && strings.Contains(line+" ", "-D "+d.cluster()+" ")
}

// commandLine is empty for a process that is not there. Linux tells it in
// /proc, so that no ps needs to be installed.
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

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
