package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// childEnv is all that children see of the environment: PGDATA, PGOPTIONS and
// the like of the caller must not steer a server of ours, and LC_ALL keeps its
// messages in the language that this package reads.
func childEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

// process is a running child that is waited for from its start on.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended and err is set
	err  error
}

// startProcess runs a command that outlives ctx, in a session of its own; env is
// what it sees beside childEnv.
func startProcess(ctx context.Context, who account, output *os.File, env []string, name string, args ...string) (*process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...)
	cmd.Env = append(childEnv(), env...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = who.sysProcAttr()
	return launch(cmd, who)
}

// launch starts cmd and waits for it in the background.
func launch(cmd *exec.Cmd, who account) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, explainStart(err, who, cmd.Path)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	return p, nil
}

func explainStart(err error, who account, name string) error {
	if who.switched && errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("start %s as user %s: %w (this root may not switch users; run as a plain user)", name, who.name, err)
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

// stopStep is a signal and how long its effect is waited for.
type stopStep struct {
	signal syscall.Signal
	wait   time.Duration
}

// stop takes the steps one after another until the process has ended. A ctx
// that is done goes straight to the last one, which is always waited for.
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
	_ = p.cmd.Process.Signal(step.signal) // fails only when it has ended
	select {
	case <-p.done:
	case <-ctx.Done():
	}
	return p.ended()
}
