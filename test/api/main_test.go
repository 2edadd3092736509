package api

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"service-courier/internal/devstack/pgtest"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	err := goleak.Find(
		// sarama's metrics start one ticker for the whole process and never stop it.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
	)
	if code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
