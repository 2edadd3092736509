package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"
	"go.uber.org/goleak"

	"service-courier/internal/dev/ordersim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parse returns the Config of a command line and an environment.
func parse(t *testing.T, args string, env map[string]string) (ordersim.Config, error) {
	t.Helper()
	var f flags
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.register(set)
	if err := set.Parse(strings.Fields(args)); err != nil {
		t.Fatal(err)
	}
	return f.config(set.Changed, func(name string) string { return env[name] })
}

// Without flags and environment it behaves like service-order.
func TestConfig(t *testing.T) {
	plain := ordersim.DefaultConfig()
	demo := ordersim.DemoConfig()
	with := func(cfg ordersim.Config, change func(*ordersim.Config)) ordersim.Config {
		change(&cfg)
		return cfg
	}
	tests := []struct {
		args string
		env  map[string]string
		want ordersim.Config
	}{
		{"", nil, plain},
		{"", map[string]string{"HTTP_ADDR": ":9", "HTTP_ALLOWED_HOSTS": "a, b", "KAFKA_BROKERS": "a:1, b:2,", "KAFKA_ORDER_TOPIC": "t"}, with(plain, func(c *ordersim.Config) {
			c.Addr, c.AllowedHosts, c.Brokers, c.Topic = ":9", []string{"a", "b"}, []string{"a:1", "b:2"}, "t"
		})},
		{"--time-scale 60 --step cooking=3s", nil, with(plain, func(c *ordersim.Config) {
			c.Steps = c.Steps.Faster(60)
			c.Steps.Cooking = 3 * time.Second
		})},
		{"--rate 4 --cancel-share 0.5", nil, with(plain, func(c *ordersim.Config) {
			c.Every, c.CancelShare = 250*time.Millisecond, 0.5
		})},
		{"--burst-every 1m --burst-size 5", nil, with(plain, func(c *ordersim.Config) {
			c.BurstEvery, c.BurstMin, c.BurstMax = time.Minute, 5, 5
		})},
		{"--demo", nil, demo},
		{"--demo --every 1s --jitter 0", nil, with(demo, func(c *ordersim.Config) { c.Every, c.Jitter = time.Second, 0 })},
		{"--demo --rate 0", nil, with(demo, func(c *ordersim.Config) { c.Every = 0 })},
		{"--seed 7 --state-file f --lost-share 0.1 --duplicate-share 0.2 --publish-delay 1s", nil, with(plain, func(c *ordersim.Config) {
			c.Seed, c.StateFile, c.LostShare, c.DuplicateShare, c.PublishDelay = 7, "f", 0.1, 0.2, time.Second
		})},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := parse(t, tt.args, tt.env)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
			ignore := []string{"Logger"}
			if tt.want.BurstEvery == 0 {
				ignore = append(ignore, "BurstMin", "BurstMax") // unused then
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(ordersim.Config{}, ignore...), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--time-scale 0":                "--time-scale is 0",
		"--rate 1 --every 1s":           "keep one of them",
		"--rate -1":                     "--rate is -1",
		"--jitter 0.2":                  "--jitter needs --rate, --every or --burst-every: it concerns generated orders",
		"--rate 0 --cancel-share 0.5":   "--cancel-share needs --rate, --every or --burst-every",
		"--rate 1 --burst-size 5":       "--burst-size needs --burst-every",
		"--step baking=1s":              "--step baking: unknown status",
		"--step cooking=long,pending=x": "--step cooking=long: want a duration such as 20s or 5m\n--step pending=x",
	} {
		if _, err := parse(t, args, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// Errors name the setting, not the field of the Config.
func TestBadValues(t *testing.T) {
	args := "--jitter 1 --cancel-share 2 --lost-share -1 --duplicate-share 2 --every -1s --publish-delay -1s --burst-every 1s --burst-size 0 " +
		"--step created=-1s,pending=-1s,confirmed=-1s,cooking=-1s,delivering=-1s"
	_, err := parse(t, args, map[string]string{"HTTP_ADDR": "foo", "GRPC_ADDR": "bar", "KAFKA_BROKERS": "kafka"})
	if err == nil {
		t.Fatal("no error")
	}
	for field, name := range settings {
		if field != "BurstEvery" && !strings.Contains("\n"+err.Error(), "\n"+name+" is ") {
			t.Errorf("%s is not named:\n%v", name, err)
		}
	}
	if n := len(strings.Split(err.Error(), "\n")); n != len(settings)-2 || strings.Contains(err.Error(), "Burst") { // BurstEvery, BurstMax
		t.Errorf("%d lines for %d settings:\n%v", n, len(settings), err)
	}
	if _, err := parse(t, "--burst-every -1s", nil); err == nil || !strings.Contains(err.Error(), "--burst-every is -1s") {
		t.Errorf("--burst-every: %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	t.Setenv("HTTP_ADDR", "127.0.0.1:99999") // an invalid port
	for args, want := range map[string]int{
		"--bogus": 2, "bogus": 2, "health bogus": 2, "health --bogus": 2, "--every often": 2, "--lost-share 2": 2, "--version": 0, "health": 1, "": 1,
	} {
		cmd := command()
		cmd.SetOut(io.Discard)
		cmd.SetArgs(strings.Fields(args))
		if err := cmd.ExecuteContext(t.Context()); exitCode(err) != want {
			t.Errorf("service-order %s: exit code %d, want %d: %v", args, exitCode(err), want, err)
		}
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	cfg, err := parse(t, "", map[string]string{"HTTP_ADDR": "127.0.0.1:0", "GRPC_ADDR": "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- run(ctx, cfg) }()
	cancel()
	if err := <-done; err != nil && !strings.Contains(err.Error(), "canceled") {
		t.Error(err)
	}
}

// TestControl: each command of ctl is a request that the simulator serves.
func TestControl(t *testing.T) {
	sim, err := ordersim.New(ordersim.Config{Addr: "127.0.0.1:0", Steps: ordersim.FrozenSteps(), Seed: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Stop(t.Context()) }()
	run := func(args ...string) (string, error) {
		var out strings.Builder
		cmd := command()
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"ctl", "--server", "http://" + sim.Addr() + "/"}, args...))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	order, err := sim.Create()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"create", "3"},
		{"list", "2"},
		{"status", order.ID, "odd"},
		{"faults", "--delay", "1ms", "--lose", "0.5", "--duplicate", "1", "--shuffle", "1s"},
	} {
		if out, err := run(args...); err != nil || !strings.HasPrefix(out, "{") {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
	if truth := sim.Truth(); len(truth) != 4 || truth[order.ID] != "odd" {
		t.Errorf("orders %v", truth)
	}
	if want := (ordersim.Faults{Delay: time.Millisecond, Lose: 0.5, Duplicate: 1, Shuffle: time.Second}); sim.Faults() != want {
		t.Errorf("faults %+v, want %+v", sim.Faults(), want)
	}
	if _, err := run("delete", order.ID); err != nil || sim.Truth()[order.ID] != ordersim.StatusDeleted {
		t.Errorf("delete: %v, %v", err, sim.Truth())
	}
	if _, err := run("faults"); err != nil || sim.Faults() != (ordersim.Faults{}) {
		t.Errorf("faults ended: %v, %+v", err, sim.Faults())
	}
	for _, args := range [][]string{{"publish", "{"}, {"event", order.ID, "forged"}, {"replay", "2"}} {
		if out, err := run(args...); exitCode(err) != 1 || out != "" || !strings.Contains(err.Error(), "set KAFKA_BROKERS") {
			t.Errorf("%v without Kafka: %v, %q", args, err, out)
		}
	}
	if _, err := run("status", "none", "odd"); err == nil || err.Error() != `set status of "none": order not found` {
		t.Errorf("status of an unknown order: %v", err)
	}
	if _, err := run("forget"); err != nil || len(sim.Truth()) != 0 {
		t.Errorf("forget: %v, %v", err, sim.Truth())
	}
	for _, args := range [][]string{{"bogus"}, {"create", "1", "2"}, {"status", "x"}} {
		if _, err := run(args...); exitCode(err) != 2 {
			t.Errorf("%v: exit code %d, want 2: %v", args, exitCode(err), err)
		}
	}
}
