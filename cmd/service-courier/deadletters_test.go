package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// command runs a command line as a script would: nobody can be asked.
func command(t *testing.T, stdin string, args ...string) error {
	t.Helper()
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	return cmd.ExecuteContext(t.Context())
}

// TestDeadLettersWantsACompleteCommand: each of these is refused before anything
// is opened.
func TestDeadLettersWantsACompleteCommand(t *testing.T) {
	for line, want := range map[string]string{
		"bogus":                      "unknown command",
		"list 1":                     "unknown command",
		"list --limit 0":             "--limit",
		"show":                       "id of one letter",
		"show x":                     `"x" is no id`,
		"show 1 --raw -o json":       "none of the others",
		"list -o xml":                "table, json or ndjson",
		"edit 1 2":                   "id of one letter",
		"redrive":                    "choose the letters",
		"redrive 1 --all":            "choose the letters",
		"redrive --all --rate -1":    "--rate",
		"redrive --all --rate often": "--help",
		"drop":                       "choose the letters",
		"drop --all --reason x":      "choose the letters",
		"drop 0":                     `"0" is no id`,
	} {
		err := command(t, "", append([]string{"deadletters"}, strings.Fields(line)...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("deadletters %s: %v, want %q", line, err, want)
		}
	}
}

func TestNobodyToAskMeansNo(t *testing.T) {
	cmd := root()
	cmd.SetIn(strings.NewReader("y\n"))
	if err := (&choice{}).confirm(cmd)("Drop everything?"); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("without a terminal: %v", err)
	}
	if err := (&choice{yes: true}).confirm(cmd)("Drop everything?"); err != nil {
		t.Errorf("with --yes: %v", err)
	}
}

func TestOnlyYesIsYes(t *testing.T) {
	for line, want := range map[string]bool{"y\n": true, " YES \n": true, "yes": true, "": false, "\n": false, "n\n": false, "yep\n": false} {
		if err := answered(t.Context(), strings.NewReader(line)); (err == nil) != want {
			t.Errorf("%q: %v", line, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := answered(ended, strings.NewReader("n")); err == nil {
		t.Error("Ctrl-C is no yes")
	}
}

func TestEditor(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range []struct{ visual, editor, before, after string }{
		{"", "sed -i s/a/b/", "a", "b"},
		{"sed -i s/a/c/", "false", "a", "c"},
		{"", "true", "unchanged", "unchanged"},
		{"", "echo >>", "no line end", "no line end"}, // as editors add one
		{"", "true", "line end\n", "line end\n"},
	} {
		t.Setenv("VISUAL", c.visual)
		t.Setenv("EDITOR", c.editor)
		if got, err := inEditor(t.Context(), []byte(c.before)); err != nil || string(got) != c.after {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	t.Setenv("VISUAL", "exit 3;")
	if _, err := inEditor(t.Context(), []byte("a")); err == nil || !strings.Contains(err.Error(), "nothing is saved") {
		t.Errorf("an editor that fails: %v", err)
	}
}
