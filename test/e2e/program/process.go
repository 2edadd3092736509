package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// watchdogScript waits on a pipe that only this process holds. A line says that
// the child has ended; the pipe's end without one says that this process died,
// however it did, and that its child must not outlive it.
const watchdogScript = `read -r _ || kill -KILL "$1"`

// Command is a program to run.
type Command struct {
	Path string
	Args []string
	Env  []string // all that it sees of the environment, KEY=value each
	Dir  string   // its working directory; one without a .env
	Log  *os.File // takes what it prints
}

// Process is a running program.
type Process struct {
	cmd      *exec.Cmd
	watchdog *exec.Cmd
	pipe     io.WriteCloser
	done     chan struct{} // closed when it has ended and was waited for
}

// Start starts a program, which outlives ctx: Stop or Kill ends it.
func Start(ctx context.Context, c Command) (*Process, error) {
	ctx = context.WithoutCancel(ctx)
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.Env, c.Dir, c.Log, c.Log
	// A group of its own, so that Ctrl-C in a terminal leaves the end to us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	err := p.watch(ctx)
	go p.wait()
	if err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

func (p *Process) watch(ctx context.Context) (err error) {
	dog := exec.CommandContext(ctx, "/bin/sh", "-c", watchdogScript, "watchdog", fmt.Sprint(p.Pid()))
	dog.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.pipe, err = dog.StdinPipe(); err != nil {
		return fmt.Errorf("make the watchdog's pipe: %w", err)
	}
	if err := dog.Start(); err != nil {
		return fmt.Errorf("start the watchdog: %w", err)
	}
	p.watchdog = dog
	return nil
}

func (p *Process) wait() {
	_ = p.cmd.Wait() // how it ended stays in ProcessState
	if p.watchdog != nil {
		_, _ = io.WriteString(p.pipe, "ended\n")
		_ = p.pipe.Close()
		_ = p.watchdog.Wait()
	}
	close(p.done)
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ExitCode is how it ended, -1 by a signal. Only for one that has ended.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal; that the process has ended already is no error.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %d: %w", s, p.Pid(), err)
	}
	return nil
}

// Kill ends the process with SIGKILL, as a crash would.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Stop ends the process with SIGTERM. One that has not ended in time is killed,
// which is an error, as is any exit code but 0.
func (p *Process) Stop(within time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(within):
		return errors.Join(fmt.Errorf("%s did not end within %s of SIGTERM", p.cmd.Path, within), p.Kill())
	}
	if code := p.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with exit code %d", p.cmd.Path, code)
	}
	return nil
}
