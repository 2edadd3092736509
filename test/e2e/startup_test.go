package e2e

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"

	"service-courier/internal/dev/devpostgres"
	"service-courier/test/realkafka"
)

// TestStartsBeforeEverything: the service starts first, and its dependencies come later, one
// after the other.
func TestStartsBeforeEverything(t *testing.T) {
	broker := realkafka.Require(t, realkafka.Options{})
	if err := broker.Stop(); err != nil { // only its address is needed
		t.Fatal(err)
	}
	postgres := startPostgres(t)
	s := newStack(t, broker.Addr(), postgres.URL("courier"))
	postgres.Kill()

	service := s.serve()
	s.eventually("/livez answers", func() error {
		status, err := s.get("/livez", &struct{}{})
		if err != nil {
			return err
		}
		return want(http.StatusOK, status)
	})
	s.waitFailing(http.StatusServiceUnavailable, "postgresql", "schema", "consumer_group", "order_service")

	if err := postgres.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.waitFailing(http.StatusServiceUnavailable, "schema", "consumer_group", "order_service")
	s.eventually("missing schema is logged", func() error { return service.printed("database schema") })
	s.migrate()
	s.waitFailing(http.StatusServiceUnavailable, "consumer_group", "order_service")
	s.eventually("missing Kafka is logged", func() error { return service.printed("kafka") })
	if err := broker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.waitFailing(http.StatusServiceUnavailable, "consumer_group", "order_service")
	s.eventually("missing topic is logged", func() error { return service.printed("kafka topic") })
	if err := broker.CreateTopic(t.Context(), s.topic, partitions); err != nil {
		t.Fatal(err)
	}
	s.waitFailing(http.StatusOK, "order_service")
	s.publish(s.client(), "not-fetched", "created")
	s.eventually("the order is to be rechecked", func() error {
		return want(map[string]string{"not-fetched": "seen"}, s.states())
	})

	s.serviceOrder("--step", "created=24h")
	s.waitFailing(http.StatusOK)
	s.couriers(1)
	id := s.mustPost()
	s.eventually("the order is assigned", func() error {
		return want(int64(1), s.count("select count(*) from courier_orders where order_id = $1", id))
	})
	if !service.Running() {
		t.Error("the service has ended")
	}
	service.checkOutagesLoggedOnce(t, "postgresql", "database schema", "kafka", "kafka topic")
}

// waitFailing waits until /readyz reports exactly these failing components.
func (s *stack) waitFailing(status int, components ...string) {
	s.Helper()
	s.eventually("/readyz", func() error {
		got, failing, err := s.readyz()
		if err != nil {
			return err
		}
		if err := want(status, got); err != nil {
			return err
		}
		return want(components, failing)
	})
}

// checkOutagesLoggedOnce checks that the log has one line for each outage, and one for its
// end if it is named here. Others may be logged, but not twice.
func (i instance) checkOutagesLoggedOnce(t *testing.T, whats ...string) {
	t.Helper()
	failed, recovered := make(map[string]int), make(map[string]int)
	for _, l := range i.lines() {
		switch {
		case l.Component != "" && l.Level == "INFO":
			recovered[l.Component]++
		case l.Component != "":
			failed[l.Component]++
		case l.Level != "INFO":
			t.Errorf("unexpected log line: %+v", l)
		}
	}
	for _, what := range whats {
		if failed[what] != 1 || recovered[what] != 1 {
			t.Errorf("%s: outage logged %d times, its end %d times, want once each", what, failed[what], recovered[what])
		}
	}
	for what, n := range failed {
		if n > 1 {
			t.Errorf("%s: outage logged %d times", what, n)
		}
	}
}

// startPostgres starts a server with an empty database.
func startPostgres(t *testing.T) *devpostgres.Server {
	t.Helper()
	_, text, _ := net.SplitHostPort(freeAddr(t))
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := devpostgres.Start(t.Context(), devpostgres.Config{
		BinDir: os.Getenv("PG_BIN_DIR"), Port: port, Fast: true, Template: true, Logger: slog.New(slog.DiscardHandler),
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
