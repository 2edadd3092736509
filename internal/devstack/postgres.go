package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// inOrder is a fast shutdown, which a stuck server turns into a crash.
var inOrder = []stopStep{
	{syscall.SIGINT, 10 * time.Second},
	{syscall.SIGQUIT, 7 * time.Second}, // the server itself takes 5 s at most
	{syscall.SIGKILL, 5 * time.Second},
}

// immediately is a crash: connections break, the next start recovers.
var immediately = inOrder[1:]

var errStopped = errors.New("this PostgreSQL was stopped for good")

// Postgres is a running cluster. Its methods may be called concurrently.
type Postgres struct {
	cfg      PostgresConfig
	who      account
	bin      binaries
	dir      *dataDir
	temp     bool // dir is removed by Stop
	password string
	dog      *watchdog

	mu     sync.Mutex
	proc   *process // the server of the last start
	port   int
	closed bool
}

// StartPostgres finds binaries, makes the cluster where there is none, and
// returns once the server answers. ctx bounds the start, not the server's life.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (_ *Postgres, err error) {
	p := &Postgres{cfg: cfg.withDefaults(), port: cfg.Port}
	if p.who, err = serverAccount(); err != nil {
		return nil, err
	}
	if err := p.prepareDir(); err != nil {
		return nil, err
	}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, p.release())
	}
	p.cfg.Logger.InfoContext(ctx, "PostgreSQL is up",
		slog.Int("port", p.port), slog.Int("version", p.bin.major), slog.String("directory", p.dir.root))
	return p, nil
}

func (p *Postgres) prepareDir() (err error) {
	root := p.cfg.DataDir
	if root == "" {
		p.temp = true
		if root, err = os.MkdirTemp("", "service-courier-pg-"); err != nil {
			return err
		}
	}
	if p.dir, err = openDataDir(root, p.who); err != nil && p.temp {
		err = errors.Join(err, os.RemoveAll(root))
	}
	return err
}

func (p *Postgres) start(ctx context.Context) (err error) {
	// First of all: from here on, the end of this process leaves nothing.
	if p.dog, err = startWatchdog(ctx, p.who, p.watchdogSignal(), p.watchdogRemoves()); err != nil {
		return err
	}
	major, err := p.dir.major()
	if err != nil {
		return err
	}
	if p.bin, err = newFinder(p.who).choose(ctx, p.cfg, major); err != nil {
		return err
	}
	// Only now: a fetch takes as long as the network needs.
	ctx, cancel := context.WithTimeout(ctx, p.cfg.StartTimeout)
	defer cancel()
	if p.password, err = p.dir.superuserPassword(major == 0); err != nil {
		return err
	}
	if err := p.dir.stopOrphan(ctx); err != nil {
		return err
	}
	if p.port != 0 { // a taken one is told before the work of initdb
		if err := checkPort(ctx, p.port); err != nil {
			return err
		}
	}
	if err := p.ensureCluster(ctx, major); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.startServer(ctx)
}

func (p *Postgres) watchdogSignal() string {
	if p.temp {
		return "QUIT" // nothing is worth a checkpoint
	}
	return "INT"
}

func (p *Postgres) watchdogRemoves() string {
	if p.temp {
		return p.dir.root
	}
	return ""
}

// Port on 127.0.0.1, the same after every Restart.
func (p *Postgres) Port() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.port
}

// URL of one database of the cluster, as its superuser. It holds the password:
// do not log it.
func (p *Postgres) URL(database string) string {
	return postgresURL(p.password, p.Port(), database)
}

func postgresURL(password string, port int, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// EnsureDatabase creates an empty database unless there is one of that name.
func (p *Postgres) EnsureDatabase(ctx context.Context, name string) (err error) {
	conn, err := connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var exists bool
	const query = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
	if err := conn.QueryRow(ctx, query, name).Scan(&exists); err != nil || exists {
		return err
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}
