package main

import (
	"encoding/json"
	"strings"
	"testing"

	"service-courier/internal/devstack/pgtest"
)

// The same findings in each format, of settings that lead nowhere.
func TestDoctorInEachFormat(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	for _, name := range []string{"DATABASE_URL", "KAFKA_BROKERS"} {
		t.Setenv(name, "")
	}
	t.Setenv("ORDER_SERVICE_URL", "http://127.0.0.1:1")
	examine := func(format string) string {
		out, talk, code := invoke(t, "doctor", "-o", format)
		if code != exitFailed || !strings.Contains(talk, "checks failed") {
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

// TestNoDatabase: every command that works on it says what to do, once.
func TestNoDatabase(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env
	t.Setenv("DATABASE_URL", "postgres://me:sesame@127.0.0.1:1/courier?sslmode=disable")
	t.Setenv("KAFKA_BROKERS", "127.0.0.1:1")
	for _, line := range []string{"migrate status", "migrate up", "migrate down", "migrate grant me", "resync", "deadletters list", "deadletters redrive 1"} {
		_, talk, code := invoke(t, strings.Fields(line)...)
		if code != exitFailed || strings.Count(talk, "start PostgreSQL, or correct DATABASE_URL") != 1 || strings.Contains(talk, "sesame") {
			t.Errorf("%s: exit code %d:\n%s", line, code, talk)
		}
	}
}
