// Package settings holds an environment that a deployment sets (a compose file,
// a manifest) against the service's own configuration. It is for tests.
package settings

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"service-courier/internal/config"
)

// Known returns the name of every setting of `serve`.
func Known() map[string]bool {
	names := make(map[string]bool)
	for field := range reflect.TypeFor[config.Config]().Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("env"), ","); name != "" {
			names[name] = true
		}
	}
	return names
}

// Load reads an environment as `serve` would, and nothing else. A name that the
// service does not know fails the test: it would be believed and do nothing.
func Load(t *testing.T, environment map[string]string) (config.Config, error) {
	t.Helper()
	set(t, environment)
	return config.Load()
}

// LoadDatabaseURL reads an environment as `migrate` would.
func LoadDatabaseURL(t *testing.T, environment map[string]string) (string, error) {
	t.Helper()
	set(t, environment)
	return config.LoadDatabaseURL()
}

func set(t *testing.T, environment map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir()) // away from a .env
	known := Known()
	for name := range known {
		t.Setenv(name, "") // restores it afterwards
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range environment {
		if !known[name] {
			t.Errorf("%s is no setting of the service", name)
		}
		t.Setenv(name, value)
	}
}
