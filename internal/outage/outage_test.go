package outage_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/outage"
)

func TestOutageIsLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	l := outage.New(slog.New(slog.NewTextHandler(&out, nil)), "kafka")
	l.Recovered(t.Context())
	for range 3 {
		l.Failed(t.Context(), errors.New("refused"))
	}
	l.Recovered(t.Context())
	l.Recovered(t.Context())
	l.Failed(t.Context(), errors.New("refused again"))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("want an outage, its end and the next outage; got:\n%s", out.String())
	}
	for i, want := range []string{"error=refused", "attempts=3", `error="refused again"`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d = %s, want %s in it", i, lines[i], want)
		}
	}
}

// TestNextFaultIsLogged: fixing the first fault may reveal it, and the two may
// alternate.
func TestNextFaultIsLogged(t *testing.T) {
	var out bytes.Buffer
	l := outage.New(slog.New(slog.NewTextHandler(&out, nil)), "kafka")
	authority := outage.Fixable{Err: errors.New("unknown authority"), Fix: "correct KAFKA_TLS_CA_FILE"}
	password := fmt.Errorf("connect: %w", outage.Fixable{Err: errors.New("refused"), Fix: "correct KAFKA_SASL_PASSWORD"})
	for range 3 {
		for _, err := range []error{authority, password, errors.New("connection refused")} {
			l.Failed(t.Context(), err)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "unknown authority; correct") || !strings.Contains(lines[1], `error="refused; correct KAFKA_SASL_PASSWORD" operation=connect`) {
		t.Errorf("want one line for each of the two faults, got:\n%s", out.String())
	}
}

// TestOutageOfADependencyIsLoggedOnce, not by each of its users; what has another cause is
// logged by its user. A user that notices the end late begins no new outage.
func TestOutageOfADependencyIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		down := errors.New("connection refused")
		d := outage.NewDependency(outage.New(log, "postgresql"), func(err error) bool { return errors.Is(err, down) })
		first, second := outage.New(log, "first").On(d), outage.New(log, "second").On(d)
		for range 3 {
			first.Failed(t.Context(), down)
			second.Failed(t.Context(), fmt.Errorf("save: %w", down))
		}
		first.Recovered(t.Context())
		second.Failed(t.Context(), down) // it began before
		second.Recovered(t.Context())
		first.Failed(t.Context(), errors.New("syntax error"))
		first.Recovered(t.Context())
		time.Sleep(time.Minute)
		second.Failed(t.Context(), down)
		want := []string{
			"retrying\" component=postgresql", "recovered\" component=postgresql", "retrying\" component=first", "recovered\" component=first",
			"retrying\" component=postgresql",
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		for i, text := range want {
			if i >= len(lines) || !strings.Contains(lines[i], text) {
				t.Fatalf("line %d: want %s, got:\n%s", i, text, out.String())
			}
		}
		if len(lines) != len(want) {
			t.Errorf("%d lines, want %d:\n%s", len(lines), len(want), out.String())
		}
	})
}

// TestImpairedDependencyIsLoggedOnce: while a dependency refuses some attempts and allows
// others, its outage lasts.
func TestImpairedDependencyIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		full := errors.New("too many connections")
		d := outage.NewDependency(outage.New(log, "postgresql"), func(error) bool { return false }).
			OrImpaired(func(err error) bool { return errors.Is(err, full) })
		first, second := outage.New(log, "first").On(d), outage.New(log, "second").On(d)
		for range 30 {
			first.Failed(t.Context(), full)
			second.Failed(t.Context(), full)
			first.Recovered(t.Context())
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		first.Recovered(t.Context())
		second.Recovered(t.Context())
		if text := out.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, `recovered" component=postgresql downtime=1m30s`) {
			t.Errorf("want its beginning and its end, got:\n%s", text)
		}
	})
}

// TestDowntimeOfAnOutageAfterAnother: the log has it late, since a failure may belong to the
// outage before, and its downtime is counted from its first failure.
func TestDowntimeOfAnOutageAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		task := outage.New(log, "task").On(outage.NewDependency(outage.New(log, "postgresql"), func(error) bool { return true }))
		task.Failed(t.Context(), errors.New("refused"))
		task.Recovered(t.Context())
		task.Failed(t.Context(), errors.New("refused")) // began before
		time.Sleep(time.Second)
		task.Recovered(t.Context())
		for range 8 {
			task.Failed(t.Context(), errors.New("refused"))
			time.Sleep(time.Second)
		}
		task.Recovered(t.Context())
		if text := out.String(); strings.Count(text, "\n") != 4 || !strings.Contains(text, "downtime=8s") {
			t.Errorf("want two outages, the second of 8 s, got:\n%s", text)
		}
	})
}

// TestOutagesOfTwoDependencies: each is logged by its own, and both end with a success.
func TestOutagesOfTwoDependencies(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var all []*outage.Dependency
	down := []error{errors.New("postgresql down"), errors.New("kafka down")}
	for i, name := range []string{"postgresql", "kafka"} {
		all = append(all, outage.NewDependency(outage.New(log, name), func(err error) bool { return errors.Is(err, down[i]) }))
	}
	task := outage.New(log, "outbox").On(all...)
	for range 2 {
		task.Failed(t.Context(), down[1])
		task.Failed(t.Context(), down[0])
	}
	task.Recovered(t.Context())
	for text, want := range map[string]int{"outbox": 0, "retrying\" component=postgresql": 1, "retrying\" component=kafka": 1, "recovered\" component=postgresql": 1, "recovered\" component=kafka": 1} {
		if n := strings.Count(out.String(), text); n != want {
			t.Errorf("%q is logged %d times, want %d:\n%s", text, n, want, out.String())
		}
	}
}
