package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/config"
)

// TestEnvExample: .env.example describes every setting once, with its default and
// no other setting, and it loads unchanged.
func TestEnvExample(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settingsOfConfig(), settingsOfExample(t, string(content))); diff != "" {
		t.Errorf("config.Config (-), .env.example (+); required settings are not compared by value:\n%s", diff)
	}

	setenv(t, nil) // an empty directory
	if err := os.WriteFile(".env", content, 0o600); err != nil {
		t.Fatal(err)
	}
	for name := range settingsOfConfig() {
		t.Setenv(name, "") // restores it after the test, since .env sets it
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	got, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got.HTTPAddr != "127.0.0.1:8082" || len(got.KafkaBrokers) != 1 || got.DatabaseURL == "" {
		t.Errorf("Load() = %+v", got)
	}
}

// required settings have no default.
var required = map[string]bool{"DATABASE_URL": true, "KAFKA_BROKERS": true}

// settingsOfConfig returns every setting with its default.
func settingsOfConfig() map[string]string {
	found := map[string]string{}
	for _, settings := range []reflect.Type{reflect.TypeFor[config.Config](), reflect.TypeFor[config.Client]()} {
		for field := range settings.Fields() {
			if !field.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
			found[name] = field.Tag.Get("envDefault")
			if field.Type.Kind() == reflect.Bool {
				found[name] = "false"
			}
		}
	}
	return found
}

func settingsOfExample(t *testing.T, content string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for block := range strings.SplitSeq(content, "\n\n") {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		setting := regexp.MustCompile(`^([A-Z_]+)=(.*)$`).FindStringSubmatch(lines[len(lines)-1])
		if setting == nil {
			if strings.Contains(block, "=") {
				t.Errorf("a block does not end with its setting:\n%s", block)
			}
			continue
		}
		name, value := setting[1], setting[2]
		if len(lines) < 2 || !strings.HasPrefix(lines[0], "# ") {
			t.Errorf("no comment on %s", name)
		}
		if required[name] {
			if !strings.HasPrefix(lines[0], "# Required.") {
				t.Errorf("%s is not marked as required", name)
			}
			value = ""
		}
		if _, twice := found[name]; twice {
			t.Errorf("%s appears twice", name)
		}
		found[name] = value
	}
	return found
}
