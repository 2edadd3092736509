package devstack

import (
	"context"
	"errors"
	"os"
)

// Done is closed when the server of the last start or Restart has ended,
// wanted or not.
func (p *Postgres) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proc.done
}

// Stop shuts the server down for good, in order at first and at once when ctx
// ends or ten seconds pass, and removes a temporary directory. Further calls
// do nothing. It takes 25 seconds at the very most.
func (p *Postgres) Stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	steps := inOrder
	if p.temp {
		steps = immediately // nothing is worth a checkpoint
	}
	p.proc.stop(ctx, steps...)
	if !p.proc.ended() {
		return errors.New("the PostgreSQL server does not end even when killed; its watchdog stays with it")
	}
	return p.release()
}

// release gives back everything but the server, which has ended. The watchdog goes
// last: it removes the rest of the directory should this process end meanwhile.
func (p *Postgres) release() error {
	p.closed = true
	if p.dog != nil {
		_ = p.dog.tell("none", 0) // the pid may be another's soon
		defer p.dog.dismiss()
	}
	var err error
	if p.temp {
		err = os.RemoveAll(p.dir.root)
	}
	p.dir.close()
	return err
}

// Kill ends the server as a crash would: connections break and the next start
// recovers from the log. For fault tests; Restart brings it back.
func (p *Postgres) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proc.stop(context.Background(), immediately...)
}

// Restart starts the server again on its directory and port, after shutting it
// down in order where it still runs.
func (p *Postgres) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errStopped
	}
	p.proc.stop(ctx, inOrder...)
	ctx, cancel := context.WithTimeout(ctx, p.cfg.StartTimeout)
	defer cancel()
	return p.startServer(ctx)
}
