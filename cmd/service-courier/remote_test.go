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

	"service-courier/internal/client"
	"service-courier/internal/usecase/deadletters"
)

// withoutFormats are the commands that have no -o table|json|ndjson, and why.
var withoutFormats = map[string]string{
	"dev":                 "it runs, and tells what happens to a person",
	"serve":               "it runs, and its log is JSON",
	"health":              "its exit code is the answer",
	"migrate up":          "it changes something, and says what it did",
	"migrate down":        "it changes something, and says what it did",
	"migrate grant":       "it changes something, and says what it did",
	"resync":              "it changes something, and says what it did",
	"deadletters edit":    "it changes something, and says what it did",
	"deadletters redrive": "it changes something, and says what it did",
	"deadletters drop":    "it changes something, and says what it did",
	"deadletters export":  "it writes lines of JSON as it is",
	"couriers delete":     "nothing is left to be shown",
	"openapi":             "it is one document, JSON as it is",
	"man":                 "it writes files",
}

// Every command that shows something can show it to a program.
func TestEveryReadHasFormats(t *testing.T) {
	t.Parallel()
	left := maps.Clone(withoutFormats)
	walk(root(), func(cmd *cobra.Command) {
		if cmd.HasSubCommands() { // it shows its help
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
		t.Errorf("there are no such commands: %v", left)
	}
}

// Every command says what it is for, in one line that fits.
func TestEveryCommandIsExplained(t *testing.T) {
	t.Parallel()
	walk(root(), func(cmd *cobra.Command) {
		if cmd.Short == "" || len(cmd.Short) > 100 || strings.HasSuffix(cmd.Short, ".") {
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
		{true, "", true}, // also when it is set to nothing
		{true, "1", false},
		{true, "0", false}, // whatever its value, says the standard
		{false, "", false},
		{false, "1", false},
	} {
		if got := colored(c.terminal, c.noColor); got != c.want {
			t.Errorf("a terminal: %t, NO_COLOR=%s: coloured: %t", c.terminal, c.noColor, got)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{
		http.StatusOK: exitOK, http.StatusBadRequest: exitUsage, http.StatusUnprocessableEntity: exitUsage,
		http.StatusNotFound: exitNotFound, http.StatusConflict: exitConflict, http.StatusUnauthorized: exitPrecondition,
		http.StatusForbidden: exitPrecondition, http.StatusMisdirectedRequest: exitPrecondition,
		http.StatusServiceUnavailable: exitPrecondition, http.StatusInternalServerError: exitFailed,
	} {
		server := answering(t, status, "application/problem+json", `{"id":7,"code":"any"}`)
		_, _, code := invoke(t, "couriers", "get", "7", "--server", server.URL)
		server.Close()
		if code != want {
			t.Errorf("%d: exit code %d, want %d", status, code, want)
		}
		if _, _, code := invoke(t, "couriers", "get", "7", "--server", server.URL); code != exitPrecondition {
			t.Errorf("nobody there: exit code %d", code)
		}
	}
	for _, line := range []string{
		"couriers get", "couriers get seven", "couriers get 0", "couriers change 7", "couriers create --name Lev",
		"orders get ../7", "orders nope", "orders list -o xml", "lag --interval 1ms", "lag --fail-above -1", "lag --watch -o json", "nope", "stats --courier 1 --couriers",
		"couriers list --server localhost:8082", "couriers list --limit -1", "resync --since bad", "dev --data=",
		"completion zhs", "completion zsh bash",
	} {
		if out, _, code := invoke(t, strings.Fields(line)...); code != exitUsage || out != "" {
			t.Errorf("%s: exit code %d, %q", line, code, out)
		}
	}
	for err, want := range map[error]int{
		errors.New("any other"): exitFailed, &client.UnreachableError{}: exitPrecondition, deadletters.ErrChanged: exitConflict,
	} {
		if code := exitCode(fmt.Errorf("around it: %w", err)); code != want {
			t.Errorf("%v: exit code %d, want %d", err, code, want)
		}
	}
}

// A token that no header can carry is a bad setting, and no secret is shown.
func TestBadTokenIsUsage(t *testing.T) {
	t.Setenv("COURIER_TOKEN", "ses\name")
	if _, talk, code := invoke(t, "couriers", "list"); code != exitUsage || !strings.Contains(talk, "COURIER_TOKEN") || strings.Contains(talk, "ame") {
		t.Errorf("exit code %d, %s", code, talk)
	}
}

// What is not the server's own problem document says nothing about couriers: any
// other server's 404 was "there is no such courier", and a proxy's 409 a conflict.
func TestExitCodesOfSomebodyElse(t *testing.T) {
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
		if _, talk, code := invoke(t, "couriers", "list", "--server", server.URL); code != exitPrecondition || !strings.Contains(talk, "is this a service-courier?") {
			t.Errorf("%v: exit code %d, %s", answer, code, talk)
		}
	}
}

// Whoever repeats it is not told that he registered somebody.
func TestCreateAgain(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{http.StatusCreated: "registered\n", http.StatusOK: "he is there already; nothing has changed\n"} {
		server := answering(t, status, "application/json", `{"id":7}`)
		line := "couriers create --name Lev --phone +7999 --transport car --server " + server.URL
		if out, talk, code := invoke(t, strings.Fields(line)...); code != exitOK || talk != want || !strings.Contains(out, "7") {
			t.Errorf("%d: exit code %d, %s%s", status, code, talk, out)
		}
	}
}

// answering is a server that gives everybody this answer.
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
	return out.String(), talk.String(), exitCode(err)
}
