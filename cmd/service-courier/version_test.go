package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run returns what a command line prints.
func run(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetArgs(args)
	must(t, cmd.ExecuteContext(t.Context()))
	return out.String()
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"version", "--version"} {
		if got := run(t, way); !strings.HasPrefix(got, "service-courier dev, commit ") || strings.Count(got, "\n") != 1 {
			t.Errorf("%s prints %q", way, got)
		}
	}
}

func TestVersionForPrograms(t *testing.T) {
	t.Parallel()
	for format, lines := range map[string]int{"json": 8, "ndjson": 1} {
		out := run(t, "version", "-o", format)
		var got struct{ Name, Version, Commit, Date, Go, Platform string }
		must(t, json.Unmarshal([]byte(out), &got))
		if got.Name != "service-courier" || got.Version != "dev" || got.Commit == "" || got.Date == "" || got.Go == "" || got.Platform == "" ||
			strings.Count(out, "\n") != lines {
			t.Errorf("%s: %s", format, out)
		}
	}
}

// A release carries a page for each command, and completions for each shell.
func TestPagesAndCompletions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, "man", dir)
	for _, page := range []string{"service-courier.1", "service-courier-serve.1", "service-courier-migrate-up.1", "service-courier-health.1"} {
		if text, err := os.ReadFile(filepath.Join(dir, page)); err != nil || !strings.Contains(string(text), `.SH SYNOPSIS`) {
			t.Errorf("%s: %v", page, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "service-courier-man.1")); err == nil {
		t.Error("the hidden command has a page")
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if script := run(t, "completion", shell); !strings.Contains(script, "__complete") {
			t.Errorf("%s: %.100s", shell, script)
		}
	}
}
