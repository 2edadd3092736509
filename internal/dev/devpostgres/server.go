// Package devpostgres runs a private PostgreSQL server as a child process, for
// `service-courier dev` and for tests. It listens on 127.0.0.1 only, and a
// watchdog process stops it when the parent is killed. The binaries are those of
// the machine, or downloaded ones.
package devpostgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/dev"
)

// superuser is the role in the URLs.
const superuser = "postgres"

// fastShutdown becomes a crash if the server does not react.
var fastShutdown = []stopStep{
	{syscall.SIGINT, 10 * time.Second},
	{syscall.SIGQUIT, 7 * time.Second}, // the server needs 5 s at most
	{syscall.SIGKILL, 5 * time.Second},
}

// immediateShutdown is a crash: connections break, the next start recovers.
var immediateShutdown = fastShutdown[1:]

var errStopped = errors.New("this PostgreSQL server was stopped and cannot be restarted")

// Server is a running PostgreSQL server. Its methods may be called concurrently.
type Server struct {
	cfg      Config
	user     account
	bin      binaries
	dir      *dataDir
	temp     bool // Stop removes dir
	password string
	watchdog *watchdog

	mu     sync.Mutex
	proc   *process // of the last start
	port   int
	closed bool
}

// Start finds the binaries, creates the cluster if there is none, and returns
// once the server answers. ctx bounds the start, not the life of the server. It
// removes the PG variables of libpq, such as PGOPTIONS and PGSERVICE, from the
// environment of this process: every client of URL would follow them.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	if err := unsetClientVariables(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg.withDefaults(), port: cfg.Port}
	if s.user, err = serverAccount(); err != nil {
		return nil, err
	}
	if err := s.prepareDir(); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	s.cfg.Logger.InfoContext(ctx, "PostgreSQL started",
		slog.Int("port", s.port), slog.Int("version", s.bin.major), slog.String("directory", s.dir.root))
	return s, nil
}

// clientVariable matches the variables that libpq and pgx read, but not PG_BIN_DIR.
var clientVariable = regexp.MustCompile(`^(PG[A-Z][A-Z_]*)=`)

func unsetClientVariables() error {
	for _, variable := range os.Environ() {
		if found := clientVariable.FindStringSubmatch(variable); found != nil {
			if err := os.Unsetenv(found[1]); err != nil {
				return fmt.Errorf("remove %s from the environment: %w", found[1], err)
			}
		}
	}
	return nil
}

func (s *Server) prepareDir() (err error) {
	root := s.cfg.DataDir
	if root == "" {
		s.temp = true
		if root, err = os.MkdirTemp("", "service-courier-pg-"); err != nil {
			return err
		}
	}
	if s.dir, err = openDataDir(root, s.user); err != nil && s.temp {
		err = errors.Join(err, os.RemoveAll(root))
	}
	return err
}

func (s *Server) start(ctx context.Context) (err error) {
	// The watchdog comes first: from here on, a kill leaves nothing behind.
	signal, remove := "INT", ""
	if s.temp {
		signal, remove = "QUIT", s.dir.root
	}
	if s.watchdog, err = startWatchdog(ctx, s.user, signal, remove); err != nil {
		return err
	}
	major, err := s.dir.major()
	if err != nil {
		return err
	}
	if s.bin, err = newFinder(s.user).choose(ctx, s.cfg, major); err != nil {
		return err
	}
	// The timeout starts after a download, which takes as long as the network needs.
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StartTimeout)
	defer cancel()
	if s.cfg.Template && s.temp {
		if major, err = s.copyTemplate(ctx); err != nil {
			s.cfg.Logger.InfoContext(ctx, "no template cluster, running initdb", slog.Any("error", err))
		}
	}
	if s.password, err = s.dir.superuserPassword(major == 0); err != nil {
		return err
	}
	if err := s.dir.stopOrphan(ctx); err != nil {
		return err
	}
	if s.port != 0 { // fail before initdb if the port is taken
		if err := checkPort(ctx, s.port); err != nil {
			return err
		}
	}
	if major == 0 {
		if err := s.createCluster(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startServer(ctx)
}

// startServer retries with another free port: a different process may take the
// chosen one before the server binds it.
func (s *Server) startServer(ctx context.Context) error {
	const attempts = 8
	var err error
	for range attempts {
		port := s.port
		if port == 0 {
			if port, err = freePort(ctx); err != nil {
				return err
			}
		}
		if err = s.startOn(ctx, port); err == nil {
			s.port = port
			return nil
		}
		if s.port != 0 || !errors.Is(err, dev.ErrPortTaken) {
			return err
		}
	}
	return err
}

func (s *Server) startOn(ctx context.Context, port int) error {
	if err := checkPort(ctx, port); err != nil {
		return err
	}
	log, err := s.dir.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own handle

	proc, err := startProcess(ctx, s.user, log, s.cfg.Env, s.bin.postgres(), s.cfg.serverArgs(s.dir.cluster(), port)...)
	if err != nil {
		return err
	}
	err = errors.Join(s.watchdog.watch("server", proc.pid()), s.waitReady(ctx, proc, port))
	if err != nil {
		proc.stop(ctx, immediateShutdown...)
		return errors.Join(err, s.watchdog.watch("none", 0))
	}
	s.proc = proc
	go s.unwatchEnded(proc)
	return nil
}

// unwatchEnded clears the watchdog's pid when the server has ended: the system
// may give the pid to another process.
func (s *Server) unwatchEnded(proc *process) {
	<-proc.done
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == proc && !s.closed {
		_ = s.watchdog.watch("none", 0) // a dead watchdog was reported at the start
	}
}

// waitReady connects until the server answers.
func (s *Server) waitReady(ctx context.Context, proc *process, port int) error {
	url := serverURL(s.password, port, "postgres")
	for {
		err := ping(ctx, url)
		if err == nil {
			return nil
		}
		// Another server on the port may have refused the connection; then ours
		// ends within a moment.
		if isRefusal(err) && !endsWithin(proc, time.Second) {
			return fmt.Errorf("the PostgreSQL server refuses the password in %s, or the connection: %w; remove the directory to start with a new cluster",
				s.dir.root, err)
		}
		if proc.ended() {
			return s.startError(port)
		}
		if dev.Sleep(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("the PostgreSQL server is not ready: %w, last: %w\n%s", context.Cause(ctx), err, s.logTail())
		}
	}
}

func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// isRefusal reports an answer other than "the database system is starting up".
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

func (s *Server) startError(port int) error {
	log := s.logTail()
	if bytes.Contains(log, []byte("could not bind")) {
		return fmt.Errorf("start PostgreSQL: %w: 127.0.0.1:%d", dev.ErrPortTaken, port)
	}
	return fmt.Errorf("the PostgreSQL server ended during its start; the end of %s:\n%s", s.dir.logPath(), log)
}

func (s *Server) logTail() []byte {
	log, err := os.ReadFile(s.dir.logPath())
	if err != nil {
		return []byte(err.Error())
	}
	return tail(log)
}

// freePort returns a port that is free now; another process may take it.
func freePort(ctx context.Context) (int, error) {
	listener, err := dev.Listen(ctx, 0)
	if err != nil {
		return 0, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

func checkPort(ctx context.Context, port int) error {
	listener, err := dev.Listen(ctx, port)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	return listener.Close()
}

// Port on 127.0.0.1; it stays the same after Restart.
func (s *Server) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

// URL of a database, as the superuser. It contains the password: do not log it.
func (s *Server) URL(database string) string {
	return serverURL(s.password, s.Port(), database)
}

// PasswordFile holds the password of the superuser; only the server's user and root
// can read it.
func (s *Server) PasswordFile() string { return s.dir.password() }

func serverURL(password string, port int, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// EnsureDatabase creates an empty database unless it exists.
func (s *Server) EnsureDatabase(ctx context.Context, name string) (err error) {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
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

// Done is closed when the server of the last Start or Restart has ended, for
// any reason.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.done
}

// Stop shuts the server down and removes a temporary directory. The shutdown
// becomes immediate when ctx ends or after ten seconds; it takes 25 seconds at
// most. Further calls do nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	steps := fastShutdown
	if s.temp {
		steps = immediateShutdown // temporary data needs no checkpoint
	}
	s.proc.stop(ctx, steps...)
	if !s.proc.ended() {
		return errors.New("the PostgreSQL server does not end even when killed; its watchdog stays")
	}
	return s.release()
}

// release frees everything but the server, which has ended. The watchdog goes
// last: it removes the directory if this process ends meanwhile.
func (s *Server) release() error {
	s.closed = true
	if s.watchdog != nil {
		_ = s.watchdog.watch("none", 0) // the system may reuse the pid
		defer s.watchdog.dismiss()
	}
	var err error
	if s.temp {
		err = os.RemoveAll(s.dir.root)
	}
	s.dir.close()
	return err
}

// Kill ends the server as a crash would. For fault tests; Restart starts it again.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc.stop(context.Background(), immediateShutdown...)
}

// Restart stops the server if it runs, and starts it on the same directory and
// port.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errStopped
	}
	s.proc.stop(ctx, fastShutdown...)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StartTimeout)
	defer cancel()
	return s.startServer(ctx)
}
