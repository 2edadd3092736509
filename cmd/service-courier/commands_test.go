package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"service-courier/internal/cli"
	"service-courier/internal/cli/client"
	"service-courier/internal/usecase/deadletters"
)

// withoutFormats are the commands without -o table|json|ndjson, with the reason.
var withoutFormats = map[string]string{
	"dev":                 "runs until Ctrl-C",
	"serve":               "runs until Ctrl-C; its log is JSON",
	"health":              "the exit code is the answer",
	"migrate up":          "reports what it changed",
	"migrate down":        "reports what it changed",
	"migrate grant":       "reports what it changed",
	"resync":              "reports what it changed",
	"deadletters edit":    "reports what it changed",
	"deadletters redrive": "reports what it changed",
	"deadletters discard": "reports what it changed",
	"deadletters export":  "always writes lines of JSON",
	"couriers delete":     "nothing is left to print",
	"openapi":             "always one JSON document",
	"man":                 "writes files",
}

// Every command that prints data has formats for programs.
func TestEveryReadHasFormats(t *testing.T) {
	t.Parallel()
	left := maps.Clone(withoutFormats)
	walk(root(), func(cmd *cobra.Command) {
		if cmd.HasSubCommands() { // prints its help
			return
		}
		name := strings.TrimPrefix(cmd.CommandPath(), "service-courier ")
		flag := cmd.Flags().Lookup("output")
		has := flag != nil && flag.Shorthand == "o" && flag.Value.Type() == "table|json|ndjson" && flag.DefValue == "table"
		if _, excepted := withoutFormats[name]; has == excepted {
			t.Errorf("%s: -o table|json|ndjson: %t, an exception: %t", name, has, excepted)
		}
		delete(left, name)
	})
	if len(left) > 0 {
		t.Errorf("no such commands: %v", left)
	}
}

// Help is one short line, imperative, without a full stop.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	walk(root(), func(cmd *cobra.Command) {
		if cmd.Short == "" || len(cmd.Short) > 70 || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: %q", cmd.CommandPath(), cmd.Short)
		}
		for line := range strings.Lines(cmd.Long) {
			if len(line) > 120 {
				t.Errorf("%s: %d columns: %s", cmd.CommandPath(), len(line), line)
			}
		}
	})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

func TestColored(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		terminal bool
		noColor  string
		want     bool
	}{
		{true, "", true}, // set but empty counts as unset
		{true, "1", false},
		{true, "0", false}, // the value does not matter
		{false, "", false},
		{false, "1", false},
	} {
		if got := colored(c.terminal, c.noColor); got != c.want {
			t.Errorf("terminal %t, NO_COLOR=%s: coloured %t", c.terminal, c.noColor, got)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{
		http.StatusOK: cli.ExitOK, http.StatusBadRequest: cli.ExitUsage, http.StatusUnprocessableEntity: cli.ExitUsage,
		http.StatusNotFound: cli.ExitNotFound, http.StatusConflict: cli.ExitConflict, http.StatusUnauthorized: cli.ExitPrecondition,
		http.StatusForbidden: cli.ExitPrecondition, http.StatusMisdirectedRequest: cli.ExitPrecondition,
		http.StatusServiceUnavailable: cli.ExitPrecondition, http.StatusInternalServerError: cli.ExitFailed,
	} {
		server := answering(t, status, "application/problem+json", `{"id":7,"code":"any"}`)
		_, _, code := invoke(t, "couriers", "get", "7", "--server", server.URL)
		server.Close()
		if code != want {
			t.Errorf("%d: exit code %d, want %d", status, code, want)
		}
		if _, _, code := invoke(t, "couriers", "get", "7", "--server", server.URL); code != cli.ExitPrecondition {
			t.Errorf("unreachable: exit code %d", code)
		}
	}
	for _, line := range []string{
		"couriers get", "couriers get seven", "couriers get 0", "couriers change 7", "couriers create --name Lev",
		"orders get ../7", "orders nope", "orders list -o xml", "lag --watch --interval 1ms", "lag --fail-above -1", "lag --watch -o json", "nope", "stats --courier 1 --couriers",
		"couriers list --server localhost:8082", "couriers list --limit -1", "resync --since bad", "dev --data=",
		"completion zhs", "completion zsh bash",
	} {
		if out, _, code := invoke(t, strings.Fields(line)...); code != cli.ExitUsage || out != "" {
			t.Errorf("%s: exit code %d, %q", line, code, out)
		}
	}
	for line, want := range map[string]string{
		"stats --couriers --by day": "--by and --couriers exclude each other", "stats --today --from 2026-01-01": "--today and --from exclude each other",
		"outbox --since 24h -o json": "--since and --output exclude each other",
		// Without the other flag they would be ignored.
		"stats --limit 5": "--limit needs --couriers", "outbox --skip": "--skip needs --since", "lag --interval 5s": "--interval needs --watch",
		"orders list --interval 5s": "--interval needs --watch", "couriers list --interval 5s": "--interval needs --watch",
	} {
		if _, talk, code := invoke(t, strings.Fields(line)...); code != cli.ExitUsage || !strings.Contains(talk, want) {
			t.Errorf("%s: exit code %d, want %q:\n%s", line, code, want, talk)
		}
	}
	for err, want := range map[error]int{
		errors.New("any other"): cli.ExitFailed, &client.UnreachableError{}: cli.ExitPrecondition, deadletters.ErrChanged: cli.ExitConflict,
	} {
		if code := cli.ExitCode(fmt.Errorf("around it: %w", err)); code != want {
			t.Errorf("%v: exit code %d, want %d", err, code, want)
		}
	}
}

// A token that no header can carry is a bad setting; the error does not show it.
func TestBadTokenIsUsageError(t *testing.T) {
	t.Setenv("COURIER_TOKEN", "ses\name")
	if _, talk, code := invoke(t, "couriers", "list"); code != cli.ExitUsage || !strings.Contains(talk, "COURIER_TOKEN") || strings.Contains(talk, "ame") {
		t.Errorf("exit code %d, %s", code, talk)
	}
}

// An error without a problem document of a service-courier says nothing about the
// request: a proxy's 404 is no missing courier, and its 409 no conflict.
func TestExitCodesOfOtherServers(t *testing.T) {
	t.Parallel()
	for _, answer := range []struct {
		status      int
		media, body string
	}{
		{http.StatusNotFound, "text/plain", "404 page not found"},
		{http.StatusNotFound, "application/json", `{"code":"not_found"}`},
		{http.StatusConflict, "application/problem+json", `{"title":"Conflict"}`},
		{http.StatusUnprocessableEntity, "text/html", "<html>"},
		{http.StatusBadGateway, "text/html", "<html>"},
	} {
		server := answering(t, answer.status, answer.media, answer.body)
		if _, talk, code := invoke(t, "couriers", "list", "--server", server.URL); code != cli.ExitPrecondition || !strings.Contains(talk, "is this a service-courier?") {
			t.Errorf("%v: exit code %d, %s", answer, code, talk)
		}
	}
}

func TestRepeatedCreate(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{http.StatusCreated: "courier created\n", http.StatusOK: "courier already exists\n"} {
		server := answering(t, status, "application/json", `{"id":7}`)
		line := "couriers create --name Lev --phone +79000000011 --transport car --server " + server.URL
		if out, talk, code := invoke(t, strings.Fields(line)...); code != cli.ExitOK || talk != want || !strings.Contains(out, "7") {
			t.Errorf("%d: exit code %d, %s%s", status, code, talk, out)
		}
	}
}

// TestConfirmations: a command reports what is the case afterwards, not what was requested.
func TestConfirmations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, answer, want string }{
		{"couriers pause 7", `{"id":7,"status":"paused"}`, "courier is paused\n"},
		{"couriers pause 7 --after-delivery", `{"id":7,"status":"busy","pause_after_delivery":true}`, "courier is busy, and paused when the delivery ends\n"},
		{"couriers resume 7", `{"id":7,"status":"available"}`, "courier is available\n"},
		{"couriers resume 7", `{"id":7,"status":"busy"}`, "courier is busy, and available when the delivery ends\n"},
		{"couriers change 7 --name Lev", `{"id":7,"status":"busy"}`, "courier saved\n"},
		{"orders assign a", `{"order_id":"a","state":"assigned","delivery":{"courier_id":7,"courier_name":"Anna"}}`, "order is assigned to courier 7 (Anna)\n"},
		{"orders release a", `{"order_id":"a","state":"assigned","delivery":{"courier_id":7}}`, "order is assigned to courier 7\n"},
		{"orders release a", `{"order_id":"a","state":"waiting"}`, "order is in the waiting queue\n"},
		{"orders unassign a", `{"order_id":"a","state":"held","missing_since":"2026-01-01T00:00:00Z"}`, "order is on hold; service-order answers 404: recheck or cancel it\n"},
		{"orders unassign a", `{"order_id":"a","state":"held"}`, "order is on hold until a dispatcher assigns or releases it, or it ends\n"},
		{"orders recheck a", `{"order_id":"a","state":"held","missing_since":"2026-01-01T00:00:00Z","service_order":"not_found"}`, "order is on hold; service-order answers 404: recheck or cancel it\n"},
		{"orders cancel a", `{"order_id":"a","state":"cancelled"}`, "order is cancelled\n"},
		{"orders recheck a", `{"order_id":"a","state":"completed","service_order":"not_found"}`, "order is completed; service-order answers 404\n"},
		{"orders recheck a", `{"order_id":"a","state":"waiting","service_order":"found"}`, "order is in the waiting queue; service-order has it\n"},
	} {
		server := answering(t, http.StatusOK, "application/json", tt.answer)
		if _, talk, code := invoke(t, append(strings.Fields(tt.line), "--server", server.URL)...); code != cli.ExitOK || talk != tt.want {
			t.Errorf("%s: exit code %d, %q, want %q", tt.line, code, talk, tt.want)
		}
	}
}

// TestLagUnknown: an unknown lag is no lag of 0, and a database that is down hides none.
func TestLagUnknown(t *testing.T) {
	t.Parallel()
	const unknown, known = `{"partitions":[],"total_lag":null,"kafka_error":"no broker answers","rechecks":[]}`,
		`{"partitions":[{"partition":0,"committed_offset":5,"end_offset":7,"lag":2}],"total_lag":2,"rechecks":[],"database_error":"the database is unavailable"}`
	for _, tt := range []struct {
		line, answer, out, talk string
		code                    int
	}{
		{"lag", unknown, "", "no broker answers", cli.ExitPrecondition},
		{"lag -o json", unknown, "", "no broker answers", cli.ExitPrecondition},
		{"lag --fail-above 0", unknown, "", "no broker answers", cli.ExitPrecondition},
		{"lag --fail-above 0 --watch", unknown, "", "no broker answers", cli.ExitPrecondition},
		{"lag", known, "LAG", "", cli.ExitOK},
		{"lag --fail-above 1 --watch", known, "LAG", "lag is 2, more than 1", cli.ExitFailed},
	} {
		server := answering(t, http.StatusOK, "application/json", tt.answer)
		out, talk, code := invoke(t, append(strings.Fields(tt.line), "--server", server.URL)...)
		if code != tt.code || !strings.Contains(out, tt.out) || tt.out == "" && out != "" || !strings.Contains(talk, tt.talk) {
			t.Errorf("%s: exit code %d, want %d\n%s%s", tt.line, code, tt.code, out, talk)
		}
	}
}

// TestRefusalSaysWhatToDo: the problem's remedy is printed below it.
func TestRefusalSaysWhatToDo(t *testing.T) {
	t.Parallel()
	server := answering(t, http.StatusForbidden, "application/problem+json",
		`{"code":"forbidden","detail":"the request needs the role operate; the token ann has the role read","remedy":"Use a token with the role operate.","cli_remedy":"Set COURIER_TOKEN."}`)
	_, talk, _ := invoke(t, "couriers", "delete", "7", "--server", server.URL)
	if want := "403 Forbidden: the request needs the role operate; the token ann has the role read\n  Set COURIER_TOKEN.\n"; talk != want {
		t.Errorf("%q, want %q", talk, want)
	}
}

// answering is a server that gives every request this answer.
func answering(t *testing.T, status int, media, body string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server
}

// invoke runs a command line in this process.
func invoke(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, talk bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(&talk)
	cmd.SetArgs(args)
	err := execute(t.Context(), cmd)
	if err != nil {
		talk.WriteString(err.Error() + "\n")
	}
	return out.String(), talk.String(), cli.ExitCode(err)
}
