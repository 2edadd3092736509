package realkafka

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

// watchdogScript reads the broker's process id, then waits on the pipe, whose
// other end only the test process holds. The kernel closes that end however the
// test process dies, and the script ends the broker and removes its directory.
//
// Linux's Pdeathsig would need no second process, but it is sent when the thread
// that started the child ends, not the process, it works on Linux only, and it
// removes nothing. The pipe needs a shell, which every Unix has.
const watchdogScript = `read -r pid || exit 0; read -r _; kill -KILL "$pid"; rm -rf -- "$1"`

// process is a running broker with its watchdog.
type process struct {
	cmd      *exec.Cmd
	watchdog *exec.Cmd
	pipe     io.Closer
	done     chan struct{} // closed when both have ended and were waited for
}

// startProcess runs the command with its output going to log. dir is what the
// watchdog removes when the test process dies.
func startProcess(ctx context.Context, dir, java string, args []string, log *os.File) (*process, error) {
	// Ending the broker is Stop's and Kill's business: ctx bounds the start only.
	ctx = context.WithoutCancel(ctx)
	p := &process{
		cmd:      exec.CommandContext(ctx, java, args...),
		watchdog: exec.CommandContext(ctx, "/bin/sh", "-c", watchdogScript, "watchdog", dir),
		done:     make(chan struct{}),
	}
	// A group of their own: Ctrl-C in a terminal goes to the whole group of the
	// test process, and must end neither before the test says so.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.watchdog.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = log, log

	pipe, err := p.watchdog.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make the pipe to the broker's watchdog: %w", err)
	}
	p.pipe = pipe
	if err := p.watchdog.Start(); err != nil {
		return nil, fmt.Errorf("start the broker's watchdog: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		p.endWatchdog()
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	_, err = fmt.Fprintf(pipe, "%d\n", p.cmd.Process.Pid)
	go p.wait()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tell the watchdog the broker's process id: %w", err), p.kill())
	}
	return p, nil
}

func (p *process) wait() {
	_ = p.cmd.Wait() // how it ended stays in cmd.ProcessState
	p.endWatchdog()
	close(p.done)
}

// endWatchdog ends the watchdog before the pipe closes, so that it does not act:
// the broker's process id may soon be another's, its directory is wanted again.
func (p *process) endWatchdog() {
	_ = p.watchdog.Process.Kill()
	_ = p.watchdog.Wait()
	_ = p.pipe.Close()
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks the broker to end, and kills it if it has not after patience.
func (p *process) stop(patience time.Duration) error {
	// A paused process sees SIGTERM only after SIGCONT.
	if err := errors.Join(p.signal(syscall.SIGTERM), p.signal(syscall.SIGCONT)); err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("the broker did not end within %s of SIGTERM and was killed", patience), p.kill())
	}
}

// kill ends the broker with SIGKILL, which also reaches a paused process.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// signal sends sig; that the broker has ended already is no error.
func (p *process) signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to the broker: %w", sig, err)
	}
	return nil
}

// pause and resume freeze the broker and let it go on.
func (p *process) pause() error  { return p.signal(syscall.SIGSTOP) }
func (p *process) resume() error { return p.signal(syscall.SIGCONT) }
