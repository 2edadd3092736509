package devkafka

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/dev/childtest"
)

func TestMain(m *testing.M) {
	if childtest.IsChild() {
		brokerChild()
	}
	// sarama's metrics start one goroutine per process that never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// stopIn stops the broker when the test ends.
func stopIn(t *testing.T, stop func(context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
