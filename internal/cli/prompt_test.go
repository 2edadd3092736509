package cli

import (
	"context"
	"strings"
	"testing"
)

func TestPromptWithoutTerminal(t *testing.T) {
	input := func() *strings.Reader { return strings.NewReader("y\n") }
	if err := Prompt(t.Context(), input(), t.Output(), false)("Discard everything?"); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("without a terminal: %v", err)
	} else if code := ExitCode(err); code != ExitUsage {
		t.Errorf("without a terminal: exit code %d", code)
	}
	if err := Prompt(t.Context(), input(), t.Output(), true)("Discard everything?"); err != nil {
		t.Errorf("with --yes: %v", err)
	}
}

func TestOnlyYesConfirms(t *testing.T) {
	for line, want := range map[string]bool{"y\n": true, " YES \n": true, "yes": true, "": false, "\n": false, "n\n": false, "yep\n": false} {
		if err := readYes(t.Context(), strings.NewReader(line)); (err == nil) != want {
			t.Errorf("%q: %v", line, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := readYes(ended, strings.NewReader("n")); err == nil {
		t.Error("Ctrl-C confirms")
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
		if got, err := edit(t.Context(), []byte(c.before)); err != nil || string(got) != c.after {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	t.Setenv("VISUAL", "exit 3;")
	if _, err := edit(t.Context(), []byte("a")); err == nil || !strings.Contains(err.Error(), "nothing was saved") {
		t.Errorf("failing editor: %v", err)
	}
}
