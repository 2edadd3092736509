package kafka

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/dev/citest"
	"service-courier/internal/outage"
	"service-courier/test/realkafka"
)

// hangs is a test of the consumer with a broker that can hang: its connections stay open.
func hangs(t *testing.T, addr string, hang, resume func() error) {
	t.Helper()
	b := fixture{t, broker{addr: addr}, Config{Brokers: []string{addr}, Topic: topic, GroupID: "hung"}}
	var log lockedBuffer
	var s sink
	logger := slog.New(slog.NewTextHandler(&log, nil))
	c := NewConsumer(b.cfg, &s, unobserved{}, unobserved{}, logger)
	c.Needs(outage.NewDependency(outage.New(logger, "postgresql"), func(error) bool { return false }), outage.NewDependency(outage.New(logger, "kafka"), Down))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx, false) }()
	defer func() { cancel(); <-done }()
	b.produceTo(0, eventOf(0))
	b.eventually("a record is read and committed", func() bool { return s.orders() == 1 && b.committed() == 1 })

	if err := hang(); err != nil {
		t.Fatal(err)
	}
	resume = sync.OnceValue(resume)
	defer func() { _ = resume() }() // also after a failure: stopping the consumer needs the broker
	began := time.Now()
	b.eventually("the outage is noticed", func() bool { return c.Status() != nil })
	if err, took := c.Status(), time.Since(began); !strings.Contains(err.Error(), "not joined: no broker answers; check") || took > 15*time.Second {
		t.Errorf("status after %v: %v", took, err)
	}
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	if err := resume(); err != nil {
		t.Fatal(err)
	}
	b.eventually("it has joined again", func() bool { return c.Status() == nil })
	b.produceTo(0, eventOf(1))
	b.eventually("a record is read", func() bool { return s.orders() == 2 })
	for text, want := range map[string]int{"level=WARN": 1, `unavailable, retrying" component=kafka error="no broker answers: `: 1, `recovered" component=kafka`: 1} {
		if n := strings.Count(log.String(), text); n != want {
			t.Errorf("%q is logged %d times, want %d:\n%s", text, n, want, log.String())
		}
	}
}

// TestHungBroker: sarama alone needs minutes to notice it.
func TestHungBroker(t *testing.T) {
	citest.Only(t, "it takes 14 s until the consumer gives the broker up")
	t.Parallel()
	k := startKfake(t)
	var mu sync.Mutex
	held := make(chan struct{})
	resume := func() error {
		mu.Lock()
		defer mu.Unlock()
		close(held)
		return nil
	}
	_ = resume()
	for key := range kmsg.MaxKey + 1 {
		k.Cluster().ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			k.Cluster().KeepControl()
			mu.Lock()
			until := held
			mu.Unlock()
			k.Cluster().SleepControl(func() { <-until })
			return nil, nil, false
		})
	}
	hangs(t, k.Addr(), func() error {
		mu.Lock()
		defer mu.Unlock()
		held = make(chan struct{})
		return nil
	}, resume)
}

// TestHungKafka is TestHungBroker with Apache Kafka, stopped by SIGSTOP.
func TestHungKafka(t *testing.T) {
	b := realkafka.Require(t, realkafka.Options{})
	if err := b.CreateTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	hangs(t, b.Addr(), b.Pause, b.Resume)
}

// TestDelayedAnswerIsNoOutage: a broker delays the answers to a joining member while the
// group rebalances, and answers others.
func TestDelayedAnswerIsNoOutage(t *testing.T) {
	citest.Only(t, "the answer is delayed for 7 s")
	t.Parallel()
	k := startKfake(t)
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	probed := make(chan struct{})
	probe := sync.OnceFunc(func() { close(probed) })
	var joining sync.Once
	k.Cluster().ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		joining.Do(func() {
			k.Cluster().ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
				probe()
				return nil, nil, false
			})
		})
		k.Cluster().SleepControl(func() { <-held })
		return nil, nil, false
	})
	var log lockedBuffer
	c := NewConsumer(Config{Brokers: []string{k.Addr()}, Topic: topic, GroupID: "delayed"}, new(sink), unobserved{}, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx, false) }()
	defer func() { cancel(); <-done }()
	select {
	case <-probed:
	case <-time.After(patience):
		t.Error("the silence is not examined")
	}
	release()
	deadline := time.Now().Add(patience)
	for c.Status() != nil && time.Now().Before(deadline) {
		<-time.After(10 * time.Millisecond)
	}
	if c.Status() != nil || strings.Contains(log.String(), "level=WARN") {
		t.Errorf("%v:\n%s", c.Status(), log.String())
	}
}
