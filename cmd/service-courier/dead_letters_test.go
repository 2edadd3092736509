package main

import (
	"context"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/cli"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

// Each of these is refused before anything is opened.
func TestDeadLettersUsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"bogus":                           "unknown command",
		"list 1":                          "unknown command",
		"list --limit -1":                 "--limit",
		"show":                            "id of one dead letter",
		"show x":                          `invalid id "x"`,
		"show 1 --raw -o json":            "--raw and --output exclude each other",
		"list -o xml":                     "table, json or ndjson",
		"edit 1 2":                        "id of one dead letter",
		"redrive":                         "exactly one of these",
		"redrive 1 --all":                 "exactly one of these",
		"redrive --all --rate -1":         "--rate",
		"redrive --all --rate often":      "--help",
		"discard":                         "exactly one of these",
		"discard --all --reason not_json": "exactly one of these",
		"discard --reason foo --yes":      "want not_json, bad_order_id, refused_by_database, processing_panicked or undecodable",
		"redrive --reason= --yes":         "want not_json,",
		"list --reason foo":               "want not_json,",
		"export --reason foo":             "want not_json,",
		"discard 0":                       `invalid id "0"`,
	} {
		_, talk, code := invoke(t, append([]string{"deadletters"}, strings.Fields(line)...)...)
		if code != cli.ExitUsage || !strings.Contains(talk, want) {
			t.Errorf("deadletters %s: exit code %d, want %d, and %q:\n%s", line, code, cli.ExitUsage, want, talk)
		}
	}
}

// Exit codes against a real database.
func TestExitCodesOfDeadLetters(t *testing.T) {
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
		{"list --limit 0", cli.ExitOK},
		{"show 1", cli.ExitOK},
		{"show 2", cli.ExitNotFound},
		{"edit 2 --payload /dev/null", cli.ExitNotFound},
		{"discard 1", cli.ExitUsage}, // no terminal to ask for confirmation
		{"discard 1 --yes", cli.ExitOK},
		{"edit 1 --payload /dev/null", cli.ExitConflict},
		{"discard 1 2 --yes", cli.ExitFailed}, // some failed
	} {
		if out, talk, code := invoke(t, strings.Fields("deadletters "+c.line)...); code != c.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", c.line, code, c.code, out, talk)
		}
	}
}

// TestExportReplacesOnlyARegularFile: as root a rename would replace a device too. None
// of the machine is tried, since a fault would destroy it.
func TestExportReplacesOnlyARegularFile(t *testing.T) {
	url := pgtest.NewDatabase(t, postgres.Migrate)
	dir := t.TempDir()
	t.Chdir(dir) // no .env
	t.Setenv("DATABASE_URL", url)
	must(t, os.WriteFile("target", []byte("precious"), 0o600))
	must(t, os.WriteFile("old", []byte("old"), 0o600))
	must(t, os.Symlink("target", "link"))
	must(t, os.Symlink("absent", "dangling"))
	must(t, os.Mkdir("directory", 0o700))
	must(t, syscall.Mkfifo("fifo", 0o600))
	socket, err := new(net.ListenConfig).Listen(t.Context(), "unix", "socket")
	must(t, err)
	defer func() { must(t, socket.Close()) }()
	for _, name := range []string{"link", "dangling", "directory", "fifo", "socket"} {
		before, err := os.Lstat(name)
		must(t, err)
		_, talk, code := invoke(t, "deadletters", "export", "--output", name)
		if code != cli.ExitFailed || !strings.Contains(talk, "--output: "+name+" is not a regular file") {
			t.Errorf("%s: exit code %d: %s", name, code, talk)
		}
		if after, err := os.Lstat(name); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s was replaced: %v", name, err)
		}
	}
	for _, name := range []string{"new", "old"} {
		if _, talk, code := invoke(t, "deadletters", "export", "--output", name); code != cli.ExitOK {
			t.Errorf("%s: exit code %d: %s", name, code, talk)
		}
		if content, err := os.ReadFile(name); err != nil || len(content) > 0 {
			t.Errorf("%s: %q, %v", name, content, err)
		}
	}
	if content, err := os.ReadFile("target"); err != nil || string(content) != "precious" {
		t.Errorf("target: %q, %v", content, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 8 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

// Without a terminal, vi would wait forever.
func TestEditWithoutTerminal(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	t.Setenv("DATABASE_URL", "")
	for editor, want := range map[string]int{"": cli.ExitUsage, "true": cli.ExitFailed /* no database */} {
		t.Setenv("VISUAL", "")
		t.Setenv("EDITOR", editor)
		cmd := root()
		cmd.SetIn(strings.NewReader(""))
		cmd.SetArgs([]string{"deadletters", "edit", "1"})
		err := execute(t.Context(), cmd)
		if code := cli.ExitCode(err); code != want {
			t.Errorf("EDITOR=%q: exit code %d, want %d: %v", editor, code, want, err)
		}
		if want == cli.ExitUsage && !strings.Contains(err.Error(), "--payload FILE") {
			t.Errorf("the error does not name the fix: %v", err)
		}
	}
}
