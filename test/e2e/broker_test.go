package e2e

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/devstack/pgtest"
	"service-courier/test/realkafka"
)

// envPause makes the pause of brokerFails longer: a duration.
const envPause = "SERVICE_COURIER_TEST_KAFKA_PAUSE"

// brokerFails: Kafka dies and comes back, and later hangs for a while, as
// orders keep coming. service-order drops what it cannot publish, so it may be
// the sweep that finds an order in the end; what had reached Kafka must not be
// lost, and the service must resume by itself.
func brokerFails(t *testing.T, broker *realkafka.Broker) {
	t.Helper()
	s := newStack(t, broker.Addr(), pgtest.NewDatabase(t, nil))
	if err := broker.CreateTopic(t.Context(), s.topic, partitions); err != nil {
		t.Fatal(err)
	}
	s.migrate()
	s.couriers(100)
	s.serviceOrder("--step", "created=24h")
	service := s.serve()
	s.eventually("the service is ready", s.ready)

	rush := s.atWork()
	if err := broker.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := broker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.resumes(rush)

	rush = s.atWork()
	if err := broker.Pause(); err != nil {
		t.Fatal(err)
	}
	<-time.After(pause(t))
	if err := broker.Resume(); err != nil {
		t.Fatal(err)
	}
	s.resumes(rush)

	client := s.client()
	s.nothingLost(client, s.committed(client))
	if !service.Running() {
		t.Error("the service has ended on the way")
	}
	if n := s.count("select count(*) from dead_letters"); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	s.sound()
}

// pause is how long the broker hangs: short of what a test run has time for, or
// what the environment says.
func pause(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(envPause)
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", envPause, err)
	}
	return d
}

// atWork has the service in the midst of a rush.
func (s *stack) atWork() *traffic {
	s.Helper()
	known := s.count("select count(*) from orders")
	rush := s.rush(400)
	s.eventually("the service is at work", func() error {
		if n := s.count("select count(*) from orders"); n < known+20 {
			return fmt.Errorf("%d more orders", n-known)
		}
		return nil
	})
	return rush
}

// resumes sees that everything that is in Kafka, and a new order, is handled and
// committed.
func (s *stack) resumes(rush *traffic) {
	s.Helper()
	rush.wait()
	began := time.Now()
	client := s.client()
	s.eventually("a new order is handled", func() error {
		id := s.mustPost() // its event may be dropped as long as service-order has not noticed
		known := fmt.Errorf("order %s is not known", id)
		for range 20 {
			if s.count("select count(*) from orders where order_id = $1", id) == 1 {
				return nil
			}
			<-time.After(50 * time.Millisecond)
		}
		return known
	})
	s.eventually("the broker leads every partition", func() error { return s.led(client) })
	s.eventually("all is committed", func() error { return want(s.published(client), s.committed(client)) })
	s.Logf("resumed after %v", time.Since(began).Round(time.Millisecond))
}

// led returns nil when the broker, which may have been shut out of its own
// cluster for a moment, answers for every partition.
func (s *stack) led(client sarama.Client) error {
	for p := range int32(partitions) {
		if _, err := client.GetOffset(s.topic, p, sarama.OffsetNewest); err != nil {
			return errors.Join(err, client.RefreshMetadata(s.topic))
		}
	}
	return nil
}
