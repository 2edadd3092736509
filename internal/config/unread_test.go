package config_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"service-courier/internal/config"
)

// TestUnreadSettings: a setting that cannot be read is named once, with the form
// that it must have, and nothing is said of the value that it does not have.
func TestUnreadSettings(t *testing.T) {
	bad := map[string]string{}
	for field := range reflect.TypeFor[config.Config]().Fields() {
		if kind := field.Type.Kind(); kind != reflect.String && kind != reflect.Slice {
			bad[field.Tag.Get("env")] = "90d"
		}
	}
	all := map[string]string{
		"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092", "HTTP_ADDR": ":8082", // open, if INSECURE does not say otherwise
		"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "sesame",
	}
	maps.Copy(all, bad)
	setenv(t, all)
	_, err := config.Load()
	if err == nil {
		t.Fatal("Load gave no error")
	}
	lines := strings.Split(err.Error(), "\n")[1:] // after what they are about
	if len(lines) != len(bad) {
		t.Errorf("want a line for each of %v, got:\n%v", slices.Sorted(maps.Keys(bad)), err)
	}
	forms := map[string]string{
		"INSECURE": "true or false", "RATE_LIMIT": "a whole number", "LOG_LEVEL": "debug, info, warn or error",
		"RETENTION": "a time with its unit, such as 90s or 2160h",
	}
	for name := range bad {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+` "90d": want `+forms[name]) }) {
			t.Errorf("no line says what %s must be:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "sesame") {
		t.Errorf("the error shows a secret:\n%v", err)
	}
}
