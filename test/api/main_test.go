package api

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"service-courier/internal/dev/pgtest"
)

func TestMain(m *testing.M) {
	// The tests mostly wait. The command line is read later and takes precedence.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := pgtest.Main(m)
	if err := leaks(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// leaks retries: an abandoned producer retries for some seconds.
func leaks() (err error) {
	for range 20 {
		if err = goleak.Find(
			// sarama's metrics start one ticker for the whole process and never stop it.
			goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
			// sarama's circuit breaker sleeps out its ten seconds after an outage.
			goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
		); err == nil {
			return nil
		}
	}
	return err
}
