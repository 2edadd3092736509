package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"service-courier/internal/cli"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

// Each format has the same findings.
func TestDoctorInEachFormat(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	for _, name := range []string{"DATABASE_URL", "KAFKA_BROKERS"} {
		t.Setenv(name, "")
	}
	t.Setenv("ORDER_SERVICE_URL", "http://127.0.0.1:1")
	examine := func(format string) string {
		out, talk, code := invoke(t, "doctor", "-o", format)
		if code != cli.ExitFailed || !strings.Contains(talk, "checks failed") {
			t.Errorf("%s: exit code %d, %q", format, code, talk)
		}
		return out
	}
	const settings = "DATABASE_URL is not set"
	if out := examine("table"); !strings.HasPrefix(out, "FAIL  settings") || !strings.Contains(out, settings) {
		t.Errorf("table:\n%s", out)
	}
	type finding struct{ Check, Status string }
	var document struct {
		OK       *bool
		Findings []finding
	}
	out := examine("json")
	must(t, json.Unmarshal([]byte(out), &document))
	if document.OK == nil || *document.OK || len(document.Findings) == 0 || !strings.Contains(out, settings) {
		t.Errorf("json:\n%s", out)
	}
	lines := strings.Split(strings.TrimSuffix(examine("ndjson"), "\n"), "\n")
	if len(lines) != len(document.Findings) {
		t.Fatalf("%d lines, %d findings", len(lines), len(document.Findings))
	}
	for i, line := range lines {
		var f finding
		must(t, json.Unmarshal([]byte(line), &f))
		if f != document.Findings[i] {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
}

func TestMigrateStatus(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	t.Setenv("DATABASE_URL", pgtest.NewDatabase(t, nil))
	status := func(applied bool) {
		t.Helper()
		var all []struct {
			Name    string
			Applied bool
		}
		must(t, json.Unmarshal([]byte(run(t, "migrate", "status", "-o", "json")), &all))
		if len(all) == 0 || all[0].Name != "00001_init.sql" {
			t.Errorf("it lists %v", all)
		}
		for _, m := range all {
			if m.Applied != applied {
				t.Errorf("%s is applied: %t", m.Name, m.Applied)
			}
		}
	}
	status(false)
	run(t, "migrate", "up")
	status(true)
	if table := run(t, "migrate", "status"); !strings.HasPrefix(table, "MIGRATION ") || !strings.Contains(table, "  yes\n") || strings.Contains(table, "  no\n") {
		t.Errorf("table:\n%s", table)
	}
}

// Every command on the database says once how to fix its absence.
func TestNoDatabase(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	t.Setenv("DATABASE_URL", "postgres://me:sesame@127.0.0.1:1/courier?sslmode=disable")
	t.Setenv("KAFKA_BROKERS", "127.0.0.1:1")
	for _, line := range []string{"migrate status", "migrate up", "migrate down", "migrate grant me", "resync", "outbox", "outbox --since 1h", "deadletters list", "deadletters redrive 1"} {
		_, talk, code := invoke(t, strings.Fields(line)...)
		if code != cli.ExitFailed || strings.Count(talk, "start PostgreSQL, wait until it has started, or correct DATABASE_URL") != 1 || strings.Contains(talk, "sesame") {
			t.Errorf("%s: exit code %d:\n%s", line, code, talk)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"24h": now.Add(-24 * time.Hour), "0s": now, "2026-01-01T00:00:00Z": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parseSince(s, now); err != nil || !got.Equal(want) {
			t.Errorf("parseSince(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "yesterday", "-1h", "2026-01-01"} {
		if got, err := parseSince(s, now); err == nil {
			t.Errorf("parseSince(%q) = %v, want an error", s, got)
		}
	}
}

// TestOutboxCommand sets where the outbox begins, and shows it.
func TestOutboxCommand(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	url := pgtest.NewDatabase(t, postgres.Migrate)
	t.Setenv("DATABASE_URL", url)
	run := func(code int, want string, args ...string) {
		t.Helper()
		out, talk, got := invoke(t, append([]string{"outbox"}, args...)...)
		if got != code || !strings.Contains(out+talk, want) {
			t.Errorf("outbox %v: exit code %d:\n%s%s\nwant %d and %q", args, got, out, talk, code, want)
		}
	}
	run(cli.ExitOK, `"published_id": null`, "-o", "json")
	pool, err := postgres.Open(t.Context(), pgtest.Patient(url), 1)
	must(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), "INSERT INTO journal (order_id, state, source) VALUES ('a', 'waiting', ''), ('b', 'waiting', '')")
	must(t, err)
	run(cli.ExitUsage, "want a time such as", "--since", "yesterday")
	run(cli.ExitOK, "transitions pending: 2, the oldest of 20", "--since", "1h")
	run(cli.ExitOK, `"pending": 2`, "-o", "json")
	run(cli.ExitConflict, "--skip", "--since", "0s")
	run(cli.ExitOK, "transitions pending: 0", "--since", "0s", "--skip")
	run(cli.ExitOK, "published up to  2\n", "-o", "table")
}
