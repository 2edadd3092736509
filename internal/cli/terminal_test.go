package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"service-courier/internal/dev/pgtest"
	"service-courier/internal/logging"
	"service-courier/internal/storage/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestPromptOnTerminal(t *testing.T) {
	for typed, want := range map[string]bool{"y\n": true, "n\n": false} {
		keyboard, terminal := newTerminal(t)
		if _, err := keyboard.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		var prompt bytes.Buffer
		err := Prompt(t.Context(), terminal, &prompt, false)("Discard everything?")
		if (err == nil) != want || !strings.Contains(prompt.String(), "Discard everything? [y/N]") {
			t.Errorf("typed %q: %v, prompt %q", typed, err, &prompt)
		}
	}
}

func TestLogOnTerminalIsText(t *testing.T) {
	for format, want := range map[string]string{"": "msg=here", logging.JSON: `"msg":"here"`} {
		screen, terminal := newTerminal(t)
		slog.New(logging.NewHandler(terminal, format, slog.LevelInfo)).Info("here")
		line, err := bufio.NewReader(screen).ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Errorf("%q: %q, %v; want %s", format, line, err, want)
		}
	}
}

// newTerminal returns a pseudo-terminal and its keyboard.
func newTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	open := func(path string) *os.File {
		file, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		return file
	}
	keyboard = open("/dev/ptmx")
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, open(fmt.Sprintf("/dev/pts/%d", number))
}

func TestRawPayloadOnTerminal(t *testing.T) {
	database := pgtest.NewDatabase(t, postgres.Migrate)
	t.Chdir(t.TempDir()) // no .env
	t.Setenv("DATABASE_URL", database)
	t.Setenv("PGCONNECT_TIMEOUT", "60") // the machine may be busy
	pool, err := postgres.Open(t.Context(), database, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), `INSERT INTO dead_letters (topic, partition, "offset", produced_at, reason, payload)
		VALUES ('t', 0, 0, now(), 'not_json', '\x1b5b324a'), ('t', 0, 1, now(), 'not_json', 'plain')`); err != nil {
		t.Fatal(err)
	}
	_, terminal := newTerminal(t)
	if err := WritePayload(t.Context(), 1, terminal); err == nil || ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "--raw") {
		t.Errorf("escape sequence on a terminal: %v", err)
	}
	if err := WritePayload(t.Context(), 2, terminal); err != nil {
		t.Errorf("text on a terminal: %v", err)
	}
	var out bytes.Buffer
	if err := WritePayload(t.Context(), 1, &out); err != nil || out.String() != "\x1b[2J" {
		t.Errorf("to a pipe: %q, %v", &out, err)
	}
}
