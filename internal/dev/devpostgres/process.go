package devpostgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// account is the user of the server and its watchdog. PostgreSQL refuses to run
// as root, so root runs them as another user.
type account struct {
	name     string
	uid, gid uint32
	switched bool // not the user of this process
}

// serverAccount is the user of this process; for root `postgres`, else `nobody`.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr != nil || gidErr != nil || uid == 0 {
			continue
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid), switched: true}, nil
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody: " +
		"add one of them, or run this command as another user")
}

// sysProcAttr starts a child in a new session: Ctrl-C in the terminal reaches
// only the parent, which then shuts the child down.
func (a account) sysProcAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a.switched {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// own makes the account the owner of path.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// checkReach returns an error for the first directory on the path to dir that
// the account cannot enter. Only a switched account can lack access that the
// caller has.
func (a account) checkReach(dir string) error {
	if !a.switched {
		return nil
	}
	var path []string
	for d := dir; ; d = filepath.Dir(d) {
		path = append(path, d)
		if d == filepath.Dir(d) {
			break
		}
	}
	for _, d := range slices.Backward(path) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		if !a.mayEnter(info) {
			return fmt.Errorf("user %s, which runs PostgreSQL for root, cannot enter %s (mode %v)", a.name, d, info.Mode().Perm())
		}
	}
	return nil
}

func (a account) mayEnter(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	perm := info.Mode().Perm()
	switch {
	case stat.Uid == a.uid:
		return perm&0o100 != 0
	case stat.Gid == a.gid:
		return perm&0o010 != 0
	default:
		return perm&0o001 != 0
	}
}

// childEnv is the whole environment of children. PGDATA, PGOPTIONS and the like
// of the caller must not change the server, and this package reads its messages
// in English.
func childEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

// process is a running child.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// startProcess starts a command that outlives ctx, with childEnv and env.
func startProcess(ctx context.Context, user account, output *os.File, env []string, name string, args ...string) (*process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...)
	cmd.Env = append(childEnv(), env...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = user.sysProcAttr()
	return launch(cmd, user)
}

// launch starts cmd and waits for it in the background.
func launch(cmd *exec.Cmd, user account) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, startError(err, user, cmd.Path)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	return p, nil
}

func startError(err error, user account, name string) error {
	if user.switched && errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("start %s as user %s: %w; this root cannot switch users: run the command as another user", name, user.name, err)
	}
	return fmt.Errorf("start %s: %w", name, err)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stopStep is a signal and how long to wait for the end of the process.
type stopStep struct {
	signal syscall.Signal
	wait   time.Duration
}

// stop takes the steps in turn until the process has ended. When ctx ends, it
// goes to the last step, which always gets its full wait.
func (p *process) stop(ctx context.Context, steps ...stopStep) {
	for i, step := range steps {
		if i == len(steps)-1 {
			ctx = context.WithoutCancel(ctx)
		}
		if ctx.Err() == nil && p.signalAndWait(ctx, step) {
			return
		}
	}
}

func (p *process) signalAndWait(ctx context.Context, step stopStep) (ended bool) {
	ctx, cancel := context.WithTimeout(ctx, step.wait)
	defer cancel()
	_ = p.cmd.Process.Signal(step.signal) // fails only if the process has ended
	select {
	case <-p.done:
	case <-ctx.Done():
	}
	return p.ended()
}

// watchdogScript waits for the end of the parent on a pipe that only the parent
// holds, so even a kill -9 closes it. Then it stops the server with signal $1 and
// removes the temporary directory $2. It is a POSIX shell script, which needs no
// second binary, and it ignores the signals of the terminal.
//
// Lines from the parent: `group PID` (initdb and its children), `server PID`,
// `none`, `done`.
const watchdogScript = `
trap '' HUP INT TERM
last_kind= last_pid=
while read -r kind pid; do
	[ "$kind" = done ] && exit 0
	last_kind=$kind last_pid=$pid
done
gone() { # waits up to $1 tenths of a second
	n=0
	while [ "$n" -lt "$1" ]; do
		kill -0 "$last_pid" 2>/dev/null || return 0
		sleep 0.1
		n=$((n + 1))
	done
	return 1
}
case $last_kind in
server)
	kill -s "$1" "$last_pid" 2>/dev/null
	gone 100 || { kill -s QUIT "$last_pid" 2>/dev/null; gone 70; } || kill -s KILL "$last_pid" 2>/dev/null
	;;
group)
	kill -s KILL -- "-$last_pid" 2>/dev/null
	gone 20
	;;
esac
[ -z "$2" ] || rm -rf -- "$2" 2>/dev/null || { sleep 0.5; rm -rf -- "$2"; }
`

// watchdog is a process that cleans up if this process is killed.
type watchdog struct {
	pipe *os.File
	proc *process
}

// startWatchdog starts a watchdog as the server's user. It will stop the server
// with the signal (INT: fast shutdown, QUIT: immediate) and remove the directory
// unless that is empty.
func startWatchdog(ctx context.Context, user account, signal, removeDir string) (*watchdog, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = read.Close() }()

	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", watchdogScript, "watchdog", signal, removeDir)
	cmd.Env = childEnv()
	cmd.Dir = "/"
	cmd.Stdin = read
	cmd.SysProcAttr = user.sysProcAttr()
	proc, err := launch(cmd, user)
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	return &watchdog{pipe: write, proc: proc}, nil
}

// watch sets the process to stop. An error means that the watchdog has ended.
func (w *watchdog) watch(kind string, pid int) error {
	if _, err := fmt.Fprintf(w.pipe, "%s %d\n", kind, pid); err != nil {
		return fmt.Errorf("the watchdog of the PostgreSQL server has ended: %w", err)
	}
	return nil
}

// dismiss ends the watchdog without any action.
func (w *watchdog) dismiss() {
	_, _ = fmt.Fprintln(w.pipe, "done")
	_ = w.pipe.Close()
	<-w.proc.done
}
