package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"service-courier/internal/client"
	"service-courier/internal/usecase/deadletters"
)

// Every command that shows something of a running server, and the letters, can
// show it to a program.
func TestEveryReadHasFormats(t *testing.T) {
	t.Parallel()
	reads := 0
	walk(root(), func(cmd *cobra.Command) {
		shows := remotely(cmd) || cmd.CommandPath() == "service-courier deadletters list" || cmd.CommandPath() == "service-courier deadletters show"
		if !shows || !cmd.Runnable() || cmd.HasSubCommands() {
			return
		}
		writesNothing := map[string]bool{
			"service-courier couriers delete ID": true, // answers nothing
			"service-courier openapi":            true, // is a document
		}
		if writesNothing[strings.TrimSuffix(cmd.UseLine(), " [flags]")] {
			return
		}
		reads++
		flag := cmd.Flags().Lookup("output")
		if flag == nil || flag.Shorthand != "o" || flag.Value.Type() != "table|json|ndjson" || flag.DefValue != "table" {
			t.Errorf("%s: no -o table|json|ndjson", cmd.CommandPath())
		}
	})
	if reads < 15 {
		t.Errorf("only %d such commands were found", reads)
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

func remotely(cmd *cobra.Command) bool {
	for ; cmd.HasParent(); cmd = cmd.Parent() {
		if cmd.GroupID == groupRemote {
			return true
		}
	}
	return false
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{
		http.StatusOK: exitOK, http.StatusBadRequest: exitUsage, http.StatusUnprocessableEntity: exitUsage,
		http.StatusNotFound: exitNotFound, http.StatusConflict: exitConflict, http.StatusUnauthorized: exitPrecondition,
		http.StatusForbidden: exitPrecondition, http.StatusMisdirectedRequest: exitPrecondition,
		http.StatusServiceUnavailable: exitPrecondition, http.StatusInternalServerError: exitFailed,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			if status == http.StatusOK {
				_, _ = w.Write([]byte(`{"id":7}`))
			}
		}))
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
		"orders get ../7", "orders nope", "orders list -o xml", "lag --interval 1ms", "nope", "stats --courier 1 --couriers",
		"couriers list --server localhost:8082", "couriers list --limit -1", "resync --since bad", "dev --data=",
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
