// Package e2e tests both programs as in production: child processes with settings in
// the environment, a real Apache Kafka and a real PostgreSQL. It checks HTTP, tables,
// committed offsets, log lines and exit codes.
//
// It runs only if tests on a real broker are enabled, see test/realkafka.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"service-courier/internal/dev/pgtest"
	"service-courier/test/e2e/program"
	"service-courier/test/realkafka"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	err := goleak.Find(
		// sarama's metrics start one ticker per process and never stop it.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		// sarama's circuit breaker sleeps for ten seconds after an outage.
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
	)
	if code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestTogether runs the tests that share a broker, each with its own topic, consumer
// group, database and programs.
func TestTogether(t *testing.T) {
	front := freeAddr(t) // of a proxy, for clients of the listener FRONT
	broker := realkafka.Require(t, realkafka.Options{
		Listeners: map[string]string{listenFront: "PLAINTEXT"}, Advertised: map[string]string{listenFront: front},
	})
	for _, test := range []struct {
		name string
		run  func(*stack)
	}{
		{"order lifecycle", orderLifecycle},
		{"waiting orders are assigned in order", waitingOrdersAreAssignedInOrder},
		{"SIGTERM under load", sigtermUnderLoad},
		{"a second SIGTERM ends it at once", secondSigterm},
		{"kill -9 under load", killUnderLoad},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStack(t, broker.Addr(), pgtest.NewDatabase(t, nil))
			if err := broker.CreateTopic(t.Context(), s.topic, partitions); err != nil {
				t.Fatal(err)
			}
			s.migrate()
			test.run(s)
		})
	}
	t.Run("kill -9 at each moment of a batch", func(t *testing.T) { killAtEachMoment(t, broker) })
	t.Run("kill -9 at each moment of publishing", func(t *testing.T) { killWhilePublishing(t, broker, front) })
	t.Run("a rolling upgrade", func(t *testing.T) { rollingUpgrade(t, broker) })
	t.Run("Kafka dies and hangs", func(t *testing.T) { brokerFails(t, broker) })
}

// built is the directory of the two programs, compiled on first use.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// binary returns the path of a program.
func binary(t *testing.T, name string) string {
	t.Helper()
	built.once.Do(func() {
		//nolint:usetesting // shared by all tests
		if built.dir, built.err = os.MkdirTemp("", "service-courier-e2e-"); built.err != nil {
			return
		}
		built.err = program.Build(context.WithoutCancel(t.Context()), built.dir, "service-courier", "service-order")
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}
