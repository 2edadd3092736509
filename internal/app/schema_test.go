package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// TestWithoutSchema: /readyz blames the schema and not Kafka, and PostgreSQL is up.
func TestWithoutSchema(t *testing.T) {
	a, err := New(t.Context(), config.Config{
		HTTPAddr: "127.0.0.1:0", DatabaseURL: pgtest.NewDatabase(t, nil), KafkaBrokers: []string{"127.0.0.1:1"},
		KafkaTopic: "t", KafkaGroupID: "g", OrderServiceURL: "http://127.0.0.1:1",
	}, slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop(t.Context()) })
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var ready struct {
		Components []struct {
			Name, Status, Detail, Fix string
			DependsOn                 string `json:"depends_on"`
		}
	}
	if err := json.Unmarshal(get(t, a, "/readyz"), &ready); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"postgresql": "answers", "schema": "database schema is missing; run 'service-courier migrate up'",
		"consumer_group": "not joined: waits for PostgreSQL and its schema",
	}
	for _, c := range ready.Components {
		if want[c.Name] != "" && c.Detail != want[c.Name] {
			t.Errorf("%s: %q, want %q", c.Name, c.Detail, want[c.Name])
		}
		if c.Name == "schema" && c.Fix != "run 'service-courier migrate up'" || c.Name == "consumer_group" && c.DependsOn != "schema" {
			t.Errorf("%+v", c)
		}
	}
	if metrics := string(get(t, a, "/metrics")); !strings.Contains(metrics, "courier_database_up 1\n") {
		t.Error("courier_database_up is not 1, though PostgreSQL answers")
	}
}

// TestReadyz: a read-only database is not ready, though it has the schema; and while PostgreSQL
// is away too, the consumer's state is its own cause.
func TestReadyz(t *testing.T) {
	database := pgtest.NewDatabase(t, postgres.Migrate)
	detail := func(a *App, component string) string {
		var ready struct {
			Components []struct{ Name, Detail string }
		}
		if err := json.Unmarshal(get(t, a, "/readyz"), &ready); err != nil {
			t.Fatal(err)
		}
		for _, c := range ready.Components {
			if c.Name == component {
				return c.Detail
			}
		}
		return ""
	}
	eventually := func(a *App, component, want string) {
		t.Helper()
		var got string
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
			if got = detail(a, component); strings.HasPrefix(got, want) {
				return
			}
		}
		t.Errorf("%s: %q, want %q", component, got, want)
	}
	begin := func(parameters string) *App {
		a, err := New(t.Context(), config.Config{
			HTTPAddr: "127.0.0.1:0", DatabaseURL: database + parameters, KafkaBrokers: []string{"127.0.0.1:1"},
			KafkaTopic: "t", KafkaGroupID: "g", OrderServiceURL: "http://127.0.0.1:1",
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Stop(context.WithoutCancel(t.Context())) })
		if err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	eventually(begin("&default_transaction_read_only=on"), "postgresql", "PostgreSQL is read-only; connect to the primary")
	a := begin("")
	eventually(a, "consumer_group", "not joined: Kafka refuses connections")
	pgtest.Interrupt(t, database)
	eventually(a, "postgresql", "the database accepts no connections")
	eventually(a, "consumer_group", "not joined: Kafka refuses connections")
}

func get(t *testing.T, a *App, path string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
