package main

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/storage/postgres"
)

// TestDeadLettersWantsACompleteCommand: each of these is refused before anything
// is opened.
func TestDeadLettersWantsACompleteCommand(t *testing.T) {
	for line, want := range map[string]string{
		"bogus":                        "unknown command",
		"list 1":                       "unknown command",
		"list --limit 0":               "--limit",
		"show":                         "id of one letter",
		"show x":                       `"x" is no id`,
		"show 1 --raw -o json":         "none of the others",
		"list -o xml":                  "table, json or ndjson",
		"edit 1 2":                     "id of one letter",
		"redrive":                      "choose the letters",
		"redrive 1 --all":              "choose the letters",
		"redrive --all --rate -1":      "--rate",
		"redrive --all --rate often":   "--help",
		"drop":                         "choose the letters",
		"drop --all --reason not_json": "choose the letters",
		"drop --reason foo --yes":      "want not_json, bad_order_id or refused_by_database",
		"redrive --reason= --yes":      "want not_json,",
		"list --reason foo":            "want not_json,",
		"export --reason foo":          "want not_json,",
		"drop 0":                       `"0" is no id`,
	} {
		_, talk, code := invoke(t, append([]string{"deadletters"}, strings.Fields(line)...)...)
		if code != exitUsage || !strings.Contains(talk, want) {
			t.Errorf("deadletters %s: exit code %d, want %d, and %q:\n%s", line, code, exitUsage, want, talk)
		}
	}
}

// The codes of the commands on one letter, against a real database.
func TestExitCodesOfLetters(t *testing.T) {
	url := pgtest.NewDatabase(t, postgres.Migrate)
	t.Chdir(t.TempDir()) // no .env
	t.Setenv("DATABASE_URL", url)
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	_, err = conn.Exec(t.Context(), `INSERT INTO dead_letters (topic, partition, "offset", produced_at, reason) VALUES ('t', 0, 0, now(), 'not_json')`)
	must(t, err)
	for _, c := range []struct {
		line string
		code int
	}{
		{"show 1", exitOK},
		{"show 2", exitNotFound},
		{"edit 2 --payload /dev/null", exitNotFound},
		{"drop 1", exitUsage}, // nobody can be asked
		{"drop 1 --yes", exitOK},
		{"edit 1 --payload /dev/null", exitConflict},
		{"drop 1 2 --yes", exitFailed}, // of several, some failed
	} {
		if out, talk, code := invoke(t, strings.Fields("deadletters "+c.line)...); code != c.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", c.line, code, c.code, out, talk)
		}
	}
}

func TestNobodyToAskMeansNo(t *testing.T) {
	cmd := root()
	cmd.SetIn(strings.NewReader("y\n"))
	if err := (&choice{}).confirm(cmd)("Drop everything?"); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("without a terminal: %v", err)
	} else if code := exitCode(err); code != exitUsage {
		t.Errorf("without a terminal: exit code %d", code)
	}
	if err := (&choice{yes: true}).confirm(cmd)("Drop everything?"); err != nil {
		t.Errorf("with --yes: %v", err)
	}
}

// Without a terminal, vi would wait for ever.
func TestNobodyToEdit(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	t.Setenv("DATABASE_URL", "")
	for editor, want := range map[string]int{"": exitUsage, "true": exitFailed /* no database */} {
		t.Setenv("VISUAL", "")
		t.Setenv("EDITOR", editor)
		cmd := root()
		cmd.SetIn(strings.NewReader(""))
		cmd.SetArgs([]string{"deadletters", "edit", "1"})
		err := execute(t.Context(), cmd)
		if code := exitCode(err); code != want {
			t.Errorf("EDITOR=%q: exit code %d, want %d: %v", editor, code, want, err)
		}
		if want == exitUsage && !strings.Contains(err.Error(), "--payload FILE") {
			t.Errorf("it does not say how to: %v", err)
		}
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
