package realkafka_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(envOrphan) != "" {
		holdBroker() // this process is the child of noOrphan
		return
	}
	goleak.VerifyTestMain(m,
		// sarama's metrics start one ticker a process and have no way to stop it.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}
