package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/metrics"
	"service-courier/internal/transport/rest"
)

// newApp has dependencies that refuse connections.
func newApp(t *testing.T, addr string) *App {
	t.Helper()
	a, err := New(t.Context(), config.Config{
		HTTPAddr: addr, DatabaseURL: "postgres://me@127.0.0.1:1/courier", KafkaBrokers: []string{"127.0.0.1:1"},
		KafkaTopic: "t", KafkaGroupID: "g", OrderServiceURL: "http://127.0.0.1:1",
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	a := newApp(t, "127.0.0.1:0")
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.Addr() == "" || a.Ready(t.Context()) {
		t.Errorf("listens on %q, ready without dependencies: %t", a.Addr(), a.Ready(t.Context()))
	}
	second := newApp(t, a.Addr())
	if err := second.Start(t.Context()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("start on a taken address: %v", err)
	}
	began := time.Now()
	for _, stopped := range []*App{second, a, a} { // again: nothing happens
		if err := stopped.Stop(t.Context()); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	if took := time.Since(began); took > stopTimeout {
		t.Errorf("stop took %v", took)
	}
}

func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := &App{log: slog.New(slog.NewTextHandler(&log, nil)), metrics: metrics.New()}
	if !a.contain(t.Context(), "consumer", func(context.Context) { panic("fault") }) {
		t.Error("the panic is not reported")
	}
	for _, want := range []string{"panic recovered", "component=consumer", "panic=fault", "app_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log: %s", want, &log)
		}
	}
	if a.contain(t.Context(), "consumer", func(context.Context) {}) {
		t.Error("a return is reported as a panic")
	}
}

// faulty panics on every check.
type faulty struct{}

func (faulty) Check(context.Context) error { panic("fault") }

// TestPanicsOfChecksAreContained: /readyz and a scrape work in goroutines of their own,
// where a panic would end the process.
func TestPanicsOfChecksAreContained(t *testing.T) {
	a := newApp(t, "127.0.0.1:0")
	defer func() { _ = a.Stop(t.Context()) }()
	a.readiness.orders = faulty{}
	components := a.readiness.Check(t.Context())
	if c := components[len(components)-1]; c.Name != rest.ComponentOrderService || c.OK {
		t.Errorf("%+v, want service-order as failing", c)
	}
	read := a.containGauges(func(context.Context) (metrics.Gauges, error) { panic("fault") })
	if _, err := read(t.Context()); err == nil {
		t.Error("the panic of a scrape is no error")
	}
}
