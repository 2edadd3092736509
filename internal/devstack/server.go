package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// startServer tries ports until one is had: between choosing a free one and
// the server's bind another process may take it.
func (p *Postgres) startServer(ctx context.Context) error {
	const tries = 8
	var err error
	for range tries {
		port := p.port
		if port == 0 {
			if port, err = freePort(ctx); err != nil {
				return err
			}
		}
		if err = p.startOn(ctx, port); err == nil {
			p.port = port
			return nil
		}
		if p.port != 0 || !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

func (p *Postgres) startOn(ctx context.Context, port int) error {
	if err := checkPort(ctx, port); err != nil {
		return err
	}
	log, err := p.dir.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own handle

	proc, err := startProcess(ctx, p.who, log, p.cfg.Env, p.bin.postgres(), p.cfg.serverArgs(p.dir.cluster(), port)...)
	if err != nil {
		return err
	}
	err = errors.Join(p.dog.tell("server", proc.pid()), p.awaitReady(ctx, proc, port))
	if err != nil {
		proc.stop(ctx, immediately...)
		return errors.Join(err, p.dog.tell("none", 0))
	}
	p.proc = proc
	go p.watch(proc)
	return nil
}

// watch tells the watchdog when a server has ended: its pid may be another's
// soon.
func (p *Postgres) watch(proc *process) {
	<-proc.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == proc && !p.closed {
		_ = p.dog.tell("none", 0) // a missing watchdog was reported at the start
	}
}

// awaitReady connects until the server answers.
func (p *Postgres) awaitReady(ctx context.Context, proc *process, port int) error {
	url := postgresURL(p.password, port, "postgres")
	for {
		err := ping(ctx, url)
		if err == nil {
			return nil
		}
		// A refusal may be a foreign server's, which has the port; then ours
		// ends in a moment.
		if isRefusal(err) && !endsWithin(proc, time.Second) {
			return fmt.Errorf("the PostgreSQL server refuses the password kept in %s, or the connection: %w; remove the directory to start with a new cluster",
				p.dir.root, err)
		}
		if proc.ended() {
			return p.explainDeath(port)
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("the PostgreSQL server is not ready: %w, last: %w\n%s", context.Cause(ctx), err, p.logTail())
		}
	}
}

func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// connect ignores what pgx takes from the environment beside the URL, such as
// PGOPTIONS.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams = map[string]string{}
	config.ValidateConnect = nil
	return pgx.ConnectConfig(ctx, config)
}

// isRefusal is an answer other than "the database system is starting up".
func isRefusal(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && refusal.Code != "57P03"
}

func endsWithin(proc *process, d time.Duration) bool {
	select {
	case <-proc.done:
		return true
	case <-time.After(d):
		return false
	}
}

func (p *Postgres) explainDeath(port int) error {
	log := p.logTail()
	if bytes.Contains(log, []byte("could not bind")) {
		return fmt.Errorf("start PostgreSQL: %w: 127.0.0.1:%d", errPortTaken, port)
	}
	return fmt.Errorf("the PostgreSQL server ended while starting; the end of %s:\n%s", p.dir.logPath(), log)
}

func (p *Postgres) logTail() []byte {
	log, err := os.ReadFile(p.dir.logPath())
	if err != nil {
		return []byte(err.Error())
	}
	return tail(log)
}
