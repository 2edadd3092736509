package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// watchdogScript waits on a pipe for the end of the parent. Nobody else holds
// the pipe's other end, so even a kill -9 closes it. Then the server is
// stopped, and a temporary directory ($2) removed. A POSIX shell does, so
// that no second binary is needed, and it ignores the terminal's signals.
//
// Lines from the parent: `group PID` (initdb, whose children share its process
// group), `server PID`, `none`, `done`.
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

// watchdog is the parent's end of a process that cleans up after a parent that
// could not. It is told what runs; once told `done` it does nothing.
type watchdog struct {
	pipe *os.File
	proc *process
}

// startWatchdog runs one as the server's user. Stop the server with the signal
// of that name (INT: in order, QUIT: at once), then remove the directory, if
// one is given.
func startWatchdog(ctx context.Context, who account, signal, removeDir string) (*watchdog, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = read.Close() }()

	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", watchdogScript, "watchdog", signal, removeDir)
	cmd.Env = childEnv()
	cmd.Dir = "/"
	cmd.Stdin = read
	cmd.SysProcAttr = who.sysProcAttr()
	proc, err := launch(cmd, who)
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	return &watchdog{pipe: write, proc: proc}, nil
}

// tell passes on what runs now. An error means that the watchdog is gone.
func (w *watchdog) tell(kind string, pid int) error {
	if _, err := fmt.Fprintf(w.pipe, "%s %d\n", kind, pid); err != nil {
		return fmt.Errorf("the watchdog of the server is gone: %w", err)
	}
	return nil
}

// dismiss ends the watchdog without any action of its.
func (w *watchdog) dismiss() {
	_, _ = fmt.Fprintln(w.pipe, "done")
	_ = w.pipe.Close()
	<-w.proc.done
}
