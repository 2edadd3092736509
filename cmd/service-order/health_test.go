package main

import (
	"log/slog"
	"net"
	"testing"

	"service-courier/internal/dev/ordersim"
)

// The probe succeeds while the simulator runs, on one or all interfaces, and then
// fails.
func TestHealth(t *testing.T) {
	sim, err := ordersim.New(ordersim.Config{Addr: ":0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(sim.Addr())
	if err != nil {
		t.Fatal(err)
	}
	probe := func(addr string) error {
		t.Setenv("HTTP_ADDR", addr)
		cmd := command()
		cmd.SetArgs([]string{"health"})
		return cmd.ExecuteContext(t.Context())
	}
	for _, addr := range []string{":" + port, "0.0.0.0:" + port, "127.0.0.1:" + port} {
		if err := probe(addr); err != nil {
			t.Errorf("HTTP_ADDR=%s: %v", addr, err)
		}
	}
	if err := sim.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := probe("127.0.0.1:" + port); err == nil {
		t.Error("the simulator has stopped, but the probe succeeds")
	}
	if err := probe(port); err == nil {
		t.Error("an address without a host was accepted")
	}
}
