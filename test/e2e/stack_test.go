package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/storage/postgres"
	"service-courier/test/e2e/program"
)

const (
	partitions = 6
	patience   = 20 * time.Second // at the border to another process
	stopWithin = 5 * time.Second  // what the service promises of SIGTERM
)

// stack is what one test runs on: addresses and names that are its own.
type stack struct {
	*testing.T
	kafka, topic, group string
	database            string // URL
	serviceAddr         string
	orderAddr           string
	pool                *pgxpool.Pool
	http                *http.Client
	secrets             []string // no program may print them
}

// newStack starts nothing; the broker and the database may be absent.
func newStack(t *testing.T, kafka, database string) *stack {
	t.Helper()
	name := strings.NewReplacer("/", ".", ",", "").Replace(t.Name())
	s := &stack{
		T: t, kafka: kafka, topic: name, group: name, database: database,
		serviceAddr: freeAddr(t), orderAddr: freeAddr(t),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 5 * time.Second},
	}
	t.Cleanup(s.http.CloseIdleConnections)
	var err error
	if s.pool, err = postgres.Open(t.Context(), database, 4); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	return s
}

// freeAddr is free at this moment, and below the ports that Linux gives to
// outgoing connections: a program that dials an absent neighbour again and again
// could be given that neighbour's port, and talk to itself.
func freeAddr(t *testing.T) string {
	t.Helper()
	for {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
}

// instance is one run of a program.
type instance struct {
	*program.Process
	log string // path
}

// start runs a program of this version, see run.
func (s *stack) start(name string, env []string, args ...string) instance {
	s.Helper()
	return s.run(binary(s.T, name), env, args...)
}

// run runs a program in an empty directory until the test ends. By then it must
// stop at SIGTERM as promised, and a failed test shows what it printed.
func (s *stack) run(path string, env []string, args ...string) instance {
	s.Helper()
	dir := s.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close() // the program has its own
	p, err := program.Start(s.Context(), program.Command{Path: path, Args: args, Env: env, Dir: dir, Log: log})
	if err != nil {
		s.Fatal(err)
	}
	i := instance{p, log.Name()}
	s.Cleanup(func() {
		if p.Running() {
			if err := p.Stop(stopWithin); err != nil {
				s.Error(err)
			}
		}
		for _, secret := range s.secrets {
			if i.printed(secret) == nil {
				s.Errorf("%s printed a secret", filepath.Base(path))
			}
		}
		if s.Failed() {
			s.Logf("%s printed:\n%s", filepath.Base(path), i.tail())
		}
	})
	return i
}

// serve starts the service. It sweeps once, at its start: events alone must do
// where none is lost. settings come on top, KEY=value each.
func (s *stack) serve(settings ...string) instance {
	s.Helper()
	return s.start("service-courier", append(s.settings(), settings...), "serve")
}

func (s *stack) settings() []string {
	return []string{
		"HTTP_ADDR=" + s.serviceAddr, "DATABASE_URL=" + s.database, "ORDER_SERVICE_URL=http://" + s.orderAddr,
		"KAFKA_BROKERS=" + s.kafka, "KAFKA_ORDER_TOPIC=" + s.topic, "KAFKA_GROUP_ID=" + s.group,
		"SWEEP_INTERVAL=1h",
	}
}

// serviceOrder starts the neighbour and waits until it answers and has Kafka.
func (s *stack) serviceOrder(args ...string) {
	s.Helper()
	i := s.start("service-order", []string{
		"HTTP_ADDR=" + s.orderAddr, "KAFKA_BROKERS=" + s.kafka, "KAFKA_ORDER_TOPIC=" + s.topic,
	}, args...)
	s.eventually("service-order publishes", func() error { return i.printed("kafka connected") })
}

// migrate makes the schema with the program's own command.
func (s *stack) migrate() {
	s.Helper()
	s.runs([]string{"DATABASE_URL=" + s.database}, "migrate", "up")
}

// runs runs a command of the service to its end, which has to be good, and
// returns what it printed.
func (s *stack) runs(settings []string, args ...string) (printed string) {
	s.Helper()
	code, printed := s.tries(settings, args...)
	if code != 0 {
		s.Fatalf("%v ended with exit code %d:\n%s", args, code, printed)
	}
	return printed
}

// tries runs a command of the service to its end, whatever it is.
func (s *stack) tries(settings []string, args ...string) (code int, printed string) {
	s.Helper()
	i := s.start("service-courier", settings, args...)
	select {
	case <-i.Done():
	case <-time.After(patience):
		s.Fatalf("%v does not end", args)
	}
	return i.ExitCode(), string(i.read())
}

// eventually polls, for what is waited for happens in another process. check
// returns nil when it has happened, else what is still lacking.
func (s *stack) eventually(what string, check func() error) {
	s.Helper()
	s.within(patience, what, check)
}

func (s *stack) within(limit time.Duration, what string, check func() error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), limit)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("not within %v: %s: %v", limit, what, err)
		case <-poll.C:
		}
	}
}
