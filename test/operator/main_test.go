package operator

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"service-courier/internal/app"
	"service-courier/internal/config"
	"service-courier/internal/dev/devkafka"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

const (
	topic      = "order.status.changed"
	partitions = 3
	patience   = 30 * time.Second // for the service
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	err := goleak.Find(
		// sarama's metrics start one ticker for the whole process and never stop it.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		// sarama's circuit breaker sleeps out its ten seconds after an outage.
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
	)
	if code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// stack is the environment of the commands: settings and what they lead to.
type stack struct {
	*testing.T
	cfg  config.Config
	pool *pgxpool.Pool
}

// newStack has a migrated database and a service-order; the service does not run yet.
func newStack(t *testing.T, broker string) *stack {
	t.Helper()
	return newStackOn(t, broker, pgtest.NewDatabase(t, postgres.Migrate))
}

func newStackOn(t *testing.T, broker, database string) *stack {
	t.Helper()
	orders := httptest.NewServer(http.HandlerFunc(orderService))
	t.Cleanup(orders.Close)
	s := &stack{T: t, cfg: config.Config{
		HTTPAddr: "127.0.0.1:0", DatabaseURL: database, KafkaBrokers: []string{broker}, KafkaTopic: topic,
		KafkaGroupID: "operator", OrderServiceURL: orders.URL, ResyncInterval: time.Hour,
	}}
	t.Chdir(t.TempDir()) // no .env
	for name, value := range map[string]string{
		"HTTP_ADDR": s.cfg.HTTPAddr, "DATABASE_URL": database, "KAFKA_BROKERS": broker, "KAFKA_ORDER_TOPIC": topic,
		"KAFKA_GROUP_ID": s.cfg.KafkaGroupID, "ORDER_SERVICE_URL": orders.URL,
	} {
		t.Setenv(name, value)
	}
	var err error
	if s.pool, err = postgres.Open(t.Context(), pgtest.Patient(database), 2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	return s
}

// orderService knows every order whose id begins with "o-"; they are cooking.
func orderService(w http.ResponseWriter, r *http.Request) {
	id := path.Base(r.URL.Path)
	switch {
	case strings.HasSuffix(r.URL.Path, "/orders"):
		fmt.Fprint(w, "[]")
	case strings.HasPrefix(id, "o-"):
		fmt.Fprintf(w, `{"id":%q,"status":"cooking","created_at":"2026-01-01T00:00:00Z"}`, id)
	default:
		http.Error(w, `{"code":"not_found"}`, http.StatusNotFound)
	}
}

// serve runs the service until the test ends.
func (s *stack) serve() {
	s.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.Context()))
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, s.cfg, slog.New(slog.DiscardHandler)) }()
	s.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.Error(err)
		}
	})
}

// produce sends one record with a key and a header.
func (s *stack) produce(value string) {
	s.Helper()
	cfg := sarama.NewConfig()
	cfg.Producer.Return.Successes = true
	p, err := sarama.NewSyncProducer(s.cfg.KafkaBrokers, cfg)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	_, _, err = p.SendMessage(&sarama.ProducerMessage{
		Topic: topic, Key: sarama.StringEncoder("key"), Value: sarama.StringEncoder(value),
		Headers: []sarama.RecordHeader{{Key: []byte("trace"), Value: []byte("abc")}},
	})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stack) exec(sql string, args ...any) {
	s.Helper()
	if _, err := s.pool.Exec(s.Context(), sql, args...); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
}

// text returns the single value of a query.
func (s *stack) text(sql string) string {
	s.Helper()
	var v string
	if err := s.pool.QueryRow(s.Context(), "SELECT coalesce(("+sql+")::text, '')").Scan(&v); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	return v
}

// eventually polls the database.
func (s *stack) eventually(want, sql string) {
	s.Helper()
	deadline := time.Now().Add(patience)
	for s.text(sql) != want {
		if time.Now().After(deadline) {
			s.Fatalf("not within %v: %s is %q, want %q", patience, sql, s.text(sql), want)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// printed runs a command and returns its output.
func printed(command func(*bytes.Buffer) error) (string, error) {
	var out bytes.Buffer
	err := command(&out)
	return out.String(), err
}

func startKfake(t *testing.T, topics map[string]int) *devkafka.Broker {
	t.Helper()
	k, err := devkafka.Start(t.Context(), devkafka.Config{
		Port: devkafka.AnyPort, Topics: topics, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(context.Background()); err != nil { // the test's own context has ended
			t.Error(err)
		}
	})
	return k
}
