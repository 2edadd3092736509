package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/test/e2e/program"
)

const (
	partitions = 6
	patience   = 20 * time.Second // with another process
	stopWithin = 5 * time.Second  // after SIGTERM, as documented
)

// stack is the environment of one test: its own addresses and names.
type stack struct {
	*testing.T
	kafka, topic, group string
	database            string // URL
	serviceAddr         string
	orderAddr           string
	pool                *pgxpool.Pool
	http                *http.Client
	secrets             []string // no program may print these
}

// newStack starts no program; broker and database may be down.
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
	if s.pool, err = postgres.Open(t.Context(), pgtest.Patient(database), 4); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	return s
}

// freeAddr returns an address that is free now, below the ephemeral ports of Linux: a
// program that dials a missing server could get its port and connect to itself.
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

// start runs a program of this build, see run.
func (s *stack) start(name string, env []string, args ...string) instance {
	s.Helper()
	return s.run(binary(s.T, name), env, args...)
}

// run runs a program in an empty directory until the test ends, when it must stop after
// SIGTERM. A failed test shows its log.
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

// serve starts the service with additional settings, KEY=value. It resyncs at its start
// only: without lost events, events are enough.
func (s *stack) serve(settings ...string) instance {
	s.Helper()
	return s.start("service-courier", append(s.settings(), settings...), "serve")
}

func (s *stack) settings() []string {
	return []string{
		"HTTP_ADDR=" + s.serviceAddr, "DATABASE_URL=" + s.database, "ORDER_SERVICE_URL=http://" + s.orderAddr,
		"KAFKA_BROKERS=" + s.kafka, "KAFKA_ORDER_TOPIC=" + s.topic, "KAFKA_GROUP_ID=" + s.group,
		"RESYNC_INTERVAL=1h",
	}
}

// serviceOrder starts the simulator and waits for its connection to Kafka.
func (s *stack) serviceOrder(args ...string) {
	s.Helper()
	i := s.start("service-order", []string{
		"HTTP_ADDR=" + s.orderAddr, "GRPC_ADDR=127.0.0.1:0", "KAFKA_BROKERS=" + s.kafka, "KAFKA_ORDER_TOPIC=" + s.topic,
	}, args...)
	s.eventually("service-order publishes", func() error { return i.printed("kafka connected") })
}

// migrate creates the schema with the service's command.
func (s *stack) migrate() {
	s.Helper()
	s.mustRun([]string{"DATABASE_URL=" + s.database}, "migrate", "up")
}

// mustRun runs a command of the service, which must succeed, and returns its output.
func (s *stack) mustRun(settings []string, args ...string) (printed string) {
	s.Helper()
	code, printed := s.runCommand(settings, args...)
	if code != 0 {
		s.Fatalf("%v ended with exit code %d:\n%s", args, code, printed)
	}
	return printed
}

// runCommand runs a command of the service to its end.
func (s *stack) runCommand(settings []string, args ...string) (code int, printed string) {
	s.Helper()
	i := s.start("service-courier", settings, args...)
	select {
	case <-i.Done():
	case <-time.After(patience):
		s.Fatalf("%v does not end", args)
	}
	return i.ExitCode(), string(i.read())
}

// eventually polls the state of another process until check returns nil.
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

// tail returns the end of the log.
func (i instance) tail() string {
	const limit = 8000
	content := i.read()
	return string(content[max(0, len(content)-limit):])
}

func (i instance) read() []byte {
	content, err := os.ReadFile(i.log)
	if err != nil {
		return []byte(err.Error())
	}
	return content
}

// printed returns nil if the log contains the text.
func (i instance) printed(text string) error {
	if bytes.Contains(i.read(), []byte(text)) {
		return nil
	}
	return fmt.Errorf("%q is not in its log", text)
}

// line is a log line of the service.
type line struct {
	Level     string `json:"level"`
	Msg       string `json:"msg"`
	Component string `json:"component"`
	Error     string `json:"error"`
}

// lines returns the JSON log of the service.
func (i instance) lines() []line {
	var all []line
	for scanner := bufio.NewScanner(bytes.NewReader(i.read())); scanner.Scan(); {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			l.Msg = scanner.Text()
		}
		all = append(all, l)
	}
	return all
}

// want returns an error with the difference, or nil.
func want[T any](want, got T) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("want -, have +:\n%s", diff)
	}
	return nil
}

// ready returns nil if /readyz reports no failing component.
func (s *stack) ready() error {
	status, failing, err := s.readyz()
	switch {
	case err != nil:
		return err
	case status != http.StatusOK || len(failing) > 0:
		return fmt.Errorf("/readyz is %d, failing: %v", status, failing)
	}
	return nil
}

// readyz returns the status and the names of failing components.
func (s *stack) readyz() (status int, failing []string, err error) {
	var body struct {
		Components []struct{ Name, Status string }
	}
	status, err = s.get("/readyz", &body)
	for _, c := range body.Components {
		if c.Status != "ok" {
			failing = append(failing, c.Name)
		}
	}
	return status, failing, err
}

// reconciled returns the number of reconciled hints, from the metrics of the service.
func (s *stack) reconciled() (float64, error) {
	const counter = "courier_hints_total "
	resp, err := s.request("/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), counter); found {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", counter)
}

// request is a GET; the caller closes the body.
func (s *stack) request(path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.serviceAddr+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	return s.http.Do(req)
}

// get decodes the JSON response of a GET.
func (s *stack) get(path string, into any) (status int, err error) {
	resp, err := s.request(path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(into)
}
