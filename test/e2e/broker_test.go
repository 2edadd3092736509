package e2e

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/dev/pgtest"
	"service-courier/test/realkafka"
)

// envPause is the duration of the pause in brokerFails.
const envPause = "SERVICE_COURIER_TEST_KAFKA_PAUSE"

// brokerFails: Kafka is killed and restarted, later paused, while orders arrive.
// service-order drops events that it cannot publish, so a resync may find these orders;
// no event in Kafka may be lost, and the service must resume by itself.
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

	rush := s.startRush()
	if err := broker.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := broker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.checkResumes(rush)

	rush = s.startRush()
	if err := broker.Pause(); err != nil {
		t.Fatal(err)
	}
	<-time.After(pause(t))
	if err := broker.Resume(); err != nil {
		t.Fatal(err)
	}
	s.checkResumes(rush)

	client := s.client()
	s.checkNothingLost(client, s.committed(client))
	if !service.Running() {
		t.Error("the service has ended")
	}
	if n := s.count("select count(*) from dead_letters"); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	s.checkInvariants()
}

// pause returns the duration of the pause.
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

// startRush creates orders and waits until the service processes them.
func (s *stack) startRush() *traffic {
	s.Helper()
	known := s.count("select count(*) from orders")
	rush := s.rush(400)
	s.eventually("the service processes orders", func() error {
		if n := s.count("select count(*) from orders"); n < known+20 {
			return fmt.Errorf("%d more orders", n-known)
		}
		return nil
	})
	return rush
}

// checkResumes checks that a new order and all events in Kafka are handled and committed.
func (s *stack) checkResumes(rush *traffic) {
	s.Helper()
	rush.wait()
	began := time.Now()
	client := s.client()
	s.eventually("a new order is handled", func() error {
		id := s.mustPost() // service-order may still drop its event
		known := fmt.Errorf("order %s is not known", id)
		for range 20 {
			if s.count("select count(*) from orders where order_id = $1", id) == 1 {
				return nil
			}
			<-time.After(50 * time.Millisecond)
		}
		return known
	})
	s.eventually("the broker leads every partition", func() error { return s.checkLeaders(client) })
	// The order above may come from a resync, while service-order still drops events.
	s.eventually("service-order publishes events", func() error {
		before := s.published(client)
		s.mustPost()
		for range 20 {
			if s.published(client) != before {
				return nil
			}
			<-time.After(50 * time.Millisecond)
		}
		return errors.New("the event of a new order is not in Kafka")
	})
	s.eventually("all records are committed", func() error { return want(s.published(client), s.committed(client)) })
	s.Logf("resumed after %v", time.Since(began).Round(time.Millisecond))
}

// checkLeaders returns nil if the broker, which may have been fenced, answers for every
// partition.
func (s *stack) checkLeaders(client sarama.Client) error {
	for p := range int32(partitions) {
		if _, err := client.GetOffset(s.topic, p, sarama.OffsetNewest); err != nil {
			return errors.Join(err, client.RefreshMetadata(s.topic))
		}
	}
	return nil
}
