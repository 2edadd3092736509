// Package program builds the programs of this module and runs them as child processes,
// for tests and the benchmark. A watchdog ends them if this process is killed.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Build compiles commands of cmd/ into dir.
func Build(ctx context.Context, dir string, names ...string) error {
	// Version control stamping fails in a clone of another user.
	args := []string{"build", "-buildvcs=false", "-o", dir + string(filepath.Separator)}
	for _, name := range names {
		args = append(args, "service-courier/cmd/"+name)
	}
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%s", names, err, out)
	}
	return nil
}

// watchdogScript waits on a pipe that only this process holds. A line: the child has
// ended. The end of the pipe without a line: this process has died, and the watchdog
// kills the child and removes the directory $2.
const watchdogScript = `read -r _ || { kill -KILL "$1"; [ -z "$2" ] || rm -rf -- "$2"; }`

// Command is a program to run.
type Command struct {
	Path string
	Args []string
	Env  []string // the whole environment, KEY=value
	Dir  string   // the working directory, without a .env
	Log  *os.File // standard output and error

	// RemoveDir is removed if this process is killed; empty: none.
	RemoveDir string
}

// Process is a running program.
type Process struct {
	cmd      *exec.Cmd
	watchdog *exec.Cmd
	pipe     io.WriteCloser
	done     chan struct{} // closed when it has ended
}

// Start starts a program that outlives ctx, until Stop or Kill.
func Start(ctx context.Context, c Command) (*Process, error) {
	ctx = context.WithoutCancel(ctx)
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.Env, c.Dir, c.Log, c.Log
	// Its own process group, so that Ctrl-C in a terminal does not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	err := p.watch(ctx, c.RemoveDir)
	go p.wait()
	if err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

func (p *Process) watch(ctx context.Context, removeDir string) (err error) {
	watchdog := exec.CommandContext(ctx, "/bin/sh", "-c", watchdogScript, "watchdog", fmt.Sprint(p.Pid()), removeDir)
	watchdog.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.pipe, err = watchdog.StdinPipe(); err != nil {
		return fmt.Errorf("create the watchdog's pipe: %w", err)
	}
	if err := watchdog.Start(); err != nil {
		return fmt.Errorf("start the watchdog: %w", err)
	}
	p.watchdog = watchdog
	return nil
}

func (p *Process) wait() {
	_ = p.cmd.Wait() // ProcessState has the outcome
	if p.watchdog != nil {
		_, _ = io.WriteString(p.pipe, "ended\n")
		_ = p.pipe.Close()
		_ = p.watchdog.Wait()
	}
	close(p.done)
}

// Pid of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running reports whether the process runs.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ExitCode waits for the end and returns the exit code, -1 after a signal.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal, unless the process has ended.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %d: %w", s, p.Pid(), err)
	}
	return nil
}

// Kill kills the process with SIGKILL.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Stop stops the process with SIGTERM and kills it after the timeout. That is an error,
// and so is an exit code other than 0.
func (p *Process) Stop(timeout time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(timeout):
		return errors.Join(fmt.Errorf("%s did not end within %s after SIGTERM", p.cmd.Path, timeout), p.Kill())
	}
	if code := p.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with exit code %d", p.cmd.Path, code)
	}
	return nil
}
