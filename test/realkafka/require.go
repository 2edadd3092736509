// Package realkafka starts a real Apache Kafka broker for tests and the benchmark: one
// node, a child process on free ports of 127.0.0.1 with a temporary directory. The
// quick tests use kfake, which is not the broker of production.
//
// # When it runs
//
// A broker needs Java 17 and some seconds, so `go test ./...` skips these tests. Two
// variables enable them (see Require):
//
//	SERVICE_COURIER_TEST_KAFKA=1     run; skip without Java or Maven
//	SERVICE_COURIER_REQUIRE_KAFKA=1  run; fail without Java or Maven (set in CI)
//
// `make test-kafka` sets the first. A third chooses the release (see Flavour):
//
//	SERVICE_COURIER_TEST_KAFKA_FLAVOUR=kraft      Kafka 4 in KRaft mode, the default
//	SERVICE_COURIER_TEST_KAFKA_FLAVOUR=zookeeper  Kafka 3.9 with ZooKeeper
//
// # What it leaves behind
//
// Only the jars named by pom.xml, in the user's cache directory. A watchdog process
// stops the broker and removes its directory when the test process is killed.
package realkafka

import (
	"errors"
	"os"
	"testing"
)

// The variables that enable the tests on a real broker, see the package comment.
const (
	// EnvTest enables the tests on a real broker.
	EnvTest = "SERVICE_COURIER_TEST_KAFKA"
	// EnvRequire enables them and does not let them be skipped.
	EnvRequire = "SERVICE_COURIER_REQUIRE_KAFKA"
)

// Require returns a running broker that is closed when the test ends. It skips the test
// unless EnvTest or EnvRequire is 1, and also without Java or Maven unless EnvRequire
// is 1. Otherwise a broker that does not start fails the test.
func Require(tb testing.TB, options Options) *Broker {
	tb.Helper()
	Enabled(tb)
	broker, err := Start(tb.Context(), options)
	switch {
	case err == nil:
	case errors.Is(err, ErrMissing) && os.Getenv(EnvRequire) != "1":
		tb.Skipf("%v", err)
	default:
		tb.Fatalf("start a real Kafka broker: %v", err)
	}
	tb.Cleanup(func() {
		if log := broker.logTail(); tb.Failed() && log != "" {
			tb.Logf("end of the broker's log:\n%s", log)
		}
		if err := broker.Close(); err != nil {
			tb.Errorf("close the real Kafka broker: %v", err)
		}
	})
	return broker
}

// Enabled skips the test unless tests on a real broker are enabled. It is for tests that
// start their broker in another way.
func Enabled(tb testing.TB) {
	tb.Helper()
	if os.Getenv(EnvTest) != "1" && os.Getenv(EnvRequire) != "1" {
		tb.Skipf("needs a real Kafka broker: set %s=1, or run `make test-kafka`", EnvTest)
	}
}
