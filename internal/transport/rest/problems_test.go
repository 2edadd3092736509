package rest_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"service-courier/internal/transport/rest"
)

var update = flag.Bool("update", false, "write the generated documents docs/errors.md and docs/openapi.json")

const errorsPage = "../../../docs/errors.md"

// TestEveryProblemIsDocumented: every code is well-formed, unique, and a row of
// docs/errors.md.
func TestEveryProblemIsDocumented(t *testing.T) {
	var rows strings.Builder
	rows.WriteString("| `code` | Status | Title | Default `detail` | What to do | With a command, if it differs |\n|---|---|---|---|---|---|\n")
	seen := map[string]bool{}
	for _, k := range rest.Kinds() {
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(k.Code) || seen[k.Code] {
			t.Errorf("%q is not a valid code, or not unique", k.Code)
		}
		seen[k.Code] = true
		if http.StatusText(k.Status) == "" || k.Status < 400 || k.Title == "" || k.Detail == "" || k.Remedy == "" {
			t.Errorf("%s is incomplete: %+v", k.Code, k)
		}
		fmt.Fprintf(&rows, "| `%s` | %d | %s | %s | %s | %s |\n", k.Code, k.Status, k.Title, k.Detail, k.Remedy, k.Command)
	}
	keepTable(t, errorsPage, rows.String())
}

// keepTable compares the table in a Markdown file with want, or writes it.
func keepTable(t *testing.T, path, want string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?m)(^\|.*\n)+`)
	if *update {
		page = table.ReplaceAllLiteral(page, []byte(want))
		if err := os.WriteFile(path, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(table.Find(page)); got != want {
		t.Errorf("%s is not up to date (make docs):\n%s\nwant\n%s", path, got, want)
	}
}

// TestEveryErrorHasItsProblem fails when an error of a use case does not lead to
// the problem in the table.
func TestEveryErrorHasItsProblem(t *testing.T) {
	for _, k := range rest.Kinds() {
		if k.Err == nil {
			continue
		}
		f := &fake{err: fmt.Errorf("somewhere: %w: secret", k.Err)}
		w := do(handler(f, io.Discard), request(t, "GET /courier/3", "", "X-Request-ID: r1"))
		var got rest.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Code != k.Status || got.Status != k.Status || got.Code != k.Code || got.RequestID != "r1" {
			t.Errorf("%v: %d %+v, want %s", k.Err, w.Code, got, k.Code)
		}
		if (k.Status == http.StatusServiceUnavailable) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", k.Code, w.Header().Get("Retry-After"))
		}
	}
}
