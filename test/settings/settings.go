// Package settings checks the environment of a deployment (a compose file, a
// manifest) against the configuration of the service. It is for tests.
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

// Load reads the given environment as `serve` would. An unknown name fails the
// test: it would have no effect.
func Load(t *testing.T, environment map[string]string) (config.Config, error) {
	t.Helper()
	set(t, environment)
	return config.Load()
}

// LoadDatabaseURL reads the given environment as `migrate` would.
func LoadDatabaseURL(t *testing.T, environment map[string]string) (string, error) {
	t.Helper()
	set(t, environment)
	return config.LoadDatabaseURL()
}

func set(t *testing.T, environment map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir()) // without a .env
	known := Known()
	for name := range known {
		t.Setenv(name, "") // restores it after the test
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range environment {
		if !known[name] {
			t.Errorf("%s is not a setting of the service", name)
		}
		t.Setenv(name, value)
	}
}
