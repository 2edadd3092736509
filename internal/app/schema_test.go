package app

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"service-courier/internal/config"
	"service-courier/internal/dev/pgtest"
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
