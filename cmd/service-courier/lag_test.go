package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"service-courier/internal/cli"
)

// consumers returns the URL of a server that gives these answers to /consumer, then
// repeats the last one.
func consumers(t *testing.T, answers ...string) string {
	t.Helper()
	requested := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, answers[min(requested, len(answers)-1)])
		requested++
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const (
	lagOf7     = `{"total_lag":7,"partitions":[{"partition":0,"lag":7}]}`
	lagOf9     = `{"total_lag":9,"partitions":[{"partition":0,"lag":9}]}`
	lagOutbox  = `{"total_lag":7,"partitions":[{"partition":0,"lag":7}],"outbox":{"topic":"events","pending":3,"oldest_at":"2026-01-02T03:04:05Z"}}`
	lagUnknown = `{"total_lag":null,"kafka_error":"connection refused","partitions":[]}`
)

// An unknown lag is not zero: read as 0, it passed --fail-above (tried).
func TestLagAboveOrUnknown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer, flags string
		code          int
		message       string
	}{
		{lagOf7, "", cli.ExitOK, ""},
		{lagOf7, "--fail-above 7", cli.ExitOK, ""},
		{lagOf7, "--fail-above 6", cli.ExitFailed, "lag is 7, more than 6"},
		{lagUnknown, "", cli.ExitPrecondition, "connection refused"},
		{lagUnknown, "--fail-above 6", cli.ExitPrecondition, "connection refused"},
	} {
		line := "lag " + c.flags + " --server " + consumers(t, c.answer)
		_, talk, code := invoke(t, strings.Fields(line)...)
		if code != c.code || !strings.Contains(talk, c.message) || (talk == "") != (c.message == "") {
			t.Errorf("%s: %s: exit code %d, want %d, and %q:\n%s", c.answer, c.flags, code, c.code, c.message, talk)
		}
	}
}

// TestLagOfTheOutbox: a line below the table.
func TestLagOfTheOutbox(t *testing.T) {
	t.Parallel()
	out, _, code := invoke(t, "lag", "--server", consumers(t, lagOutbox))
	if want := "outbox: transitions not published to events yet: 3, the oldest of 2026-01-02 03:04:05Z\n"; code != cli.ExitOK || !strings.HasSuffix(out, want) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func TestLagWatchEndsAboveLimit(t *testing.T) {
	t.Parallel()
	server := consumers(t, lagOf7, lagOf9)
	out, talk, code := invoke(t, "lag", "--watch", "--interval", cli.MinInterval.String(), "--fail-above", "8", "-o", "ndjson", "--server", server)
	if code != cli.ExitFailed || !strings.Contains(talk, "lag is 9, more than 8") || strings.Count(out, "\n") != 2 {
		t.Errorf("exit code %d, want %d after the second answer:\n%s%s", code, cli.ExitFailed, out, talk)
	}
}
