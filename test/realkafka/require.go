package realkafka

import (
	"errors"
	"os"
	"testing"
)

// The variables that decide whether tests on a real broker run; the package
// comment has the rule.
const (
	// EnvTest asks for the tests on a real broker.
	EnvTest = "SERVICE_COURIER_TEST_KAFKA"
	// EnvRequire asks for them and lets none be skipped.
	EnvRequire = "SERVICE_COURIER_REQUIRE_KAFKA"
)

// Require returns a running broker that is closed when the test ends. It skips
// the test unless EnvTest or EnvRequire is 1. Where Java or Maven is missing it
// skips too, unless EnvRequire is 1: then the test fails. A broker that does not
// start though the machine has all it needs always fails the test.
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
			tb.Logf("the broker's log ends with:\n%s", log)
		}
		if err := broker.Close(); err != nil {
			tb.Errorf("close the real Kafka broker: %v", err)
		}
	})
	return broker
}

// Enabled skips the test unless tests on a real broker were asked for. It is for
// tests that are slow for the same reason but start their broker otherwise.
func Enabled(tb testing.TB) {
	tb.Helper()
	if os.Getenv(EnvTest) != "1" && os.Getenv(EnvRequire) != "1" {
		tb.Skipf("a real Kafka broker is started only with %s=1, as `make test-kafka` does", EnvTest)
	}
}
