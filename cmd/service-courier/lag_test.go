package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// consumers returns the address of a server that gives these answers about its
// consumption, one after the other, and the last one from then on.
func consumers(t *testing.T, answers ...string) string {
	t.Helper()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, answers[min(asked, len(answers)-1)])
		asked++
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const (
	sevenWait = `{"total_lag":7,"partitions":[{"partition":0,"lag":7}]}`
	nineWait  = `{"total_lag":9,"partitions":[{"partition":0,"lag":9}]}`
	notKnown  = `{"total_lag":null,"kafka_error":"connection refused","partitions":[]}`
)

// Nobody takes an unknown lag for none: read as 0, it passed --fail-above (tried).
func TestLagAboveOrNotKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer, flags string
		code          int
		says          string
	}{
		{sevenWait, "", exitOK, ""},
		{sevenWait, "--fail-above 7", exitOK, ""},
		{sevenWait, "--fail-above 6", exitFailed, "the lag is 7, above 6"},
		{notKnown, "", exitOK, "connection refused"},
		{notKnown, "--fail-above 6", exitPrecondition, "connection refused"},
	} {
		line := "lag " + c.flags + " --server " + consumers(t, c.answer)
		_, talk, code := invoke(t, strings.Fields(line)...)
		if code != c.code || !strings.Contains(talk, c.says) || (talk == "") != (c.says == "") {
			t.Errorf("%s: %s: exit code %d, want %d, and %q:\n%s", c.answer, c.flags, code, c.code, c.says, talk)
		}
	}
}

func TestLagWatchEndsAboveTheBound(t *testing.T) {
	t.Parallel()
	server := consumers(t, sevenWait, nineWait)
	out, talk, code := invoke(t, "lag", "--watch", "--interval", minInterval.String(), "--fail-above", "8", "-o", "ndjson", "--server", server)
	if code != exitFailed || !strings.Contains(talk, "the lag is 9, above 8") || strings.Count(out, "\n") != 2 {
		t.Errorf("exit code %d, want %d after the second time:\n%s%s", code, exitFailed, out, talk)
	}
}
