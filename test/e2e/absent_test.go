package e2e

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"

	"service-courier/internal/devstack"
	"service-courier/test/realkafka"
)

// TestStartsBeforeEverything: the service is the first to start, and whatever
// it needs comes later, one part after another.
func TestStartsBeforeEverything(t *testing.T) {
	broker := realkafka.Require(t, realkafka.Options{})
	if err := broker.Stop(); err != nil { // all that is left of it is an address
		t.Fatal(err)
	}
	postgres := startPostgres(t)
	s := newStack(t, broker.Addr(), postgres.URL("courier"))
	postgres.Kill()

	service := s.serve()
	s.eventually("it is alive", func() error {
		status, err := s.get("/livez", &struct{}{})
		if err != nil {
			return err
		}
		return want(http.StatusOK, status)
	})
	s.lacks(http.StatusServiceUnavailable, "postgresql", "schema", "consumer_group", "order_service")

	if err := postgres.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.lacks(http.StatusServiceUnavailable, "schema", "consumer_group", "order_service")
	s.eventually("it misses the schema", func() error { return service.printed("database schema") })
	s.migrate()
	s.lacks(http.StatusServiceUnavailable, "consumer_group", "order_service")
	s.eventually("it misses Kafka", func() error { return service.printed("kafka consumer group") })
	if err := broker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.lacks(http.StatusServiceUnavailable, "consumer_group", "order_service")
	s.eventually("it misses the topic", func() error { return service.printed("kafka topic") })
	if err := broker.CreateTopic(t.Context(), s.topic, partitions); err != nil {
		t.Fatal(err)
	}
	s.lacks(http.StatusOK, "order_service")
	s.publish(s.client(), "nobody-can-be-asked", "created")
	s.eventually("the order is put off", func() error {
		return want(map[string]string{"nobody-can-be-asked": "seen"}, s.states())
	})

	s.serviceOrder("--step", "created=24h")
	s.lacks(http.StatusOK)
	s.couriers(1)
	id := s.mustPost()
	s.eventually("the order gets the courier", func() error {
		return want(int64(1), s.count("select count(*) from courier_orders where order_id = $1", id))
	})
	if !service.Running() {
		t.Error("the service has ended on the way")
	}
	service.tellsOnce(t, "postgresql", "database schema", "kafka consumer group", "kafka topic")
}

// lacks waits until /readyz names exactly these parts as failing.
func (s *stack) lacks(status int, parts ...string) {
	s.Helper()
	s.eventually("/readyz says so", func() error {
		got, failing, err := s.readyz()
		if err != nil {
			return err
		}
		if err := want(status, got); err != nil {
			return err
		}
		return want(parts, failing)
	})
}

// tellsOnce sees that the log has one line of each absence, however long it
// took, and one of its end where it is named here; other parts may have had to
// wait as well, but must not say so twice.
func (i instance) tellsOnce(t *testing.T, whats ...string) {
	t.Helper()
	absent, back := make(map[string]int), make(map[string]int)
	for _, l := range i.lines() {
		switch {
		case l.What != "" && l.Level == "INFO":
			back[l.What]++
		case l.What != "":
			absent[l.What]++
		case l.Level != "INFO":
			t.Errorf("unexpected log line: %+v", l)
		}
	}
	for _, what := range whats {
		if absent[what] != 1 || back[what] != 1 {
			t.Errorf("%s: said to be absent %d times and to be back %d times, want once each", what, absent[what], back[what])
		}
	}
	for what, n := range absent {
		if n > 1 {
			t.Errorf("%s: said to be absent %d times", what, n)
		}
	}
}

// startPostgres starts a cluster of the test's own with an empty database.
func startPostgres(t *testing.T) *devstack.Postgres {
	t.Helper()
	_, text, _ := net.SplitHostPort(freeAddr(t))
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{
		BinDir: os.Getenv("PG_BIN_DIR"), Port: port, Fast: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil { // the test's own context has ended
			t.Error(err)
		}
	})
	if err := p.EnsureDatabase(t.Context(), "courier"); err != nil {
		t.Fatal(err)
	}
	return p
}
