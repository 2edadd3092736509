package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/app"
	"service-courier/internal/config"
	"service-courier/internal/dev/devkafka"
	"service-courier/internal/dev/ordersim"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

const (
	topic           = "order.status.changed"
	assignmentTopic = "courier.assignment.changed" // for tests that configure it
	patience        = 30 * time.Second
)

// stack is the service with everything around it. The simulator changes orders only
// on request.
type stack struct {
	*testing.T
	pool  *pgxpool.Pool
	kafka *devkafka.Broker
	sim   *ordersim.Sim
	logs  *logs
	url   string // of the API, without a trailing slash
	http  *http.Client
}

// newStack starts everything, with n available couriers, and waits until it is ready.
func newStack(t *testing.T, couriers int, settings ...func(*config.Config)) *stack {
	t.Helper()
	t.Parallel()
	s := &stack{T: t, logs: &logs{}, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: patience}}
	t.Cleanup(s.http.CloseIdleConnections)
	database := pgtest.NewDatabase(t, postgres.Migrate)
	var err error
	s.kafka, err = devkafka.Start(t.Context(), devkafka.Config{
		Port: devkafka.AnyPort, Topics: map[string]int{topic: 3, assignmentTopic: 3}, Logger: slog.New(slog.DiscardHandler),
	})
	s.must(err)
	t.Cleanup(func() { s.check(s.kafka.Stop(context.Background())) }) // the test's own context has ended
	s.sim, err = ordersim.New(ordersim.Config{
		Addr: "127.0.0.1:0", Brokers: []string{s.kafka.Addr()}, Topic: topic,
		Steps: ordersim.FrozenSteps(), Seed: 1, Logger: slog.New(slog.DiscardHandler),
	})
	s.must(err)
	s.must(s.sim.Start(t.Context()))
	t.Cleanup(func() { s.check(s.sim.Stop(context.Background())) })
	s.pool, err = postgres.Open(t.Context(), pgtest.Patient(database), 4)
	s.must(err)
	t.Cleanup(s.pool.Close)
	s.exec(`INSERT INTO couriers (name, phone, status, transport_type)
		SELECT 'c' || i, '+7000000000' || i - 1, 'available', 'car' FROM generate_series(1, $1::int) i`, couriers)
	cfg := config.Config{
		HTTPAddr: "127.0.0.1:0", DatabaseURL: database, KafkaBrokers: []string{s.kafka.Addr()}, KafkaTopic: topic,
		KafkaGroupID: "service-courier", OrderServiceURL: "http://" + s.sim.Addr(), ResyncInterval: time.Hour,
	}
	for _, set := range settings {
		set(&cfg)
	}
	s.serve(cfg)
	return s
}

// serve runs the service until the end of the test.
func (s *stack) serve(cfg config.Config) {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() { done <- app.Run(ctx, cfg, log) }()
	s.Cleanup(func() {
		cancel()
		s.check(<-done)
		if s.Failed() {
			s.Logf("end of the log:\n%s", s.logs.tail())
		}
	})
	listening := regexp.MustCompile(`"msg":"listening","addr":"([^"]*)"`)
	s.eventually("listening", func() bool {
		found := listening.FindStringSubmatch(s.logs.String())
		if found != nil {
			s.url = "http://" + found[1]
		}
		return found != nil
	})
	s.eventually("ready", func() bool { status, _ := s.call("GET /readyz", ""); return status == http.StatusOK })
}

// call sends a request, "METHOD /path", and returns the status and the body.
func (s *stack) call(line, body string, headers ...string) (status int, answer string) {
	s.Helper()
	status, answer, err := s.try(line, body, headers...)
	s.must(err)
	return status, answer
}

// try is call for any goroutine.
func (s *stack) try(line, body string, headers ...string) (status int, answer string, err error) {
	method, path, _ := strings.Cut(line, " ")
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}

// want sends a request and expects the status and the code of a problem, or a body that
// matches the pattern.
func (s *stack) want(status int, pattern, line, body string, headers ...string) {
	s.Helper()
	got, answer := s.call(line, body, headers...)
	if status >= http.StatusBadRequest {
		var p struct{ Code string }
		s.check(json.Unmarshal([]byte(answer), &p))
		if got != status || p.Code != pattern {
			s.Errorf("%s %s: %d %s; want %d %s", line, body, got, answer, status, pattern)
		}
		return
	}
	if got != status || !regexp.MustCompile("^"+pattern+"$").MatchString(answer) {
		s.Errorf("%s %s: %d %s; want %d %s", line, body, got, answer, status, pattern)
	}
	if strings.Contains(answer, "$schema") {
		s.Errorf("%s %s: $schema in %s", line, body, answer)
	}
}

func (s *stack) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stack) check(err error) {
	s.Helper()
	if err != nil {
		s.Error(err)
	}
}

func (s *stack) exec(sql string, args ...any) {
	s.Helper()
	if _, err := s.pool.Exec(s.Context(), sql, args...); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
}

// one returns the single value of a query as text.
func (s *stack) one(sql string, args ...any) (text string) {
	s.Helper()
	if err := s.pool.QueryRow(s.Context(), "SELECT coalesce(("+sql+")::text, '')", args...).Scan(&text); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	return text
}

// order creates an order in service-order and returns its id.
func (s *stack) order() string {
	s.Helper()
	o, err := s.sim.Create()
	s.must(err)
	return o.ID
}

// becomes waits until the order has the state.
func (s *stack) becomes(id, state string) {
	s.Helper()
	s.eventually(fmt.Sprintf("order %s is %s", id, state), func() bool {
		return s.one("SELECT state FROM orders WHERE order_id = $1", id) == state
	})
}

func (s *stack) eventually(what string, ok func() bool) {
	s.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			s.Fatalf("not within %v: %s", patience, what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *stack) sound() {
	s.Helper()
	violations, err := postgres.CheckInvariants(s.Context(), s.pool)
	s.must(err)
	for _, v := range violations {
		s.Errorf("%s: %s", v.Invariant, v.Subject)
	}
}

// logs is what the service logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) tail() string {
	const longest = 8000
	text := l.String()
	return text[max(0, len(text)-longest):]
}
