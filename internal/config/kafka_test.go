package config_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"

	"service-courier/internal/config"
)

// TestKafkaSecurity: accepted settings, and the settings that an error names.
func TestKafkaSecurity(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings map[string]string
		names    []string // in the error; none: accepted
	}{
		{"TLS with the system's authorities", map[string]string{"KAFKA_TLS": "true"}, nil},
		{"PLAIN over TLS", map[string]string{
			"KAFKA_TLS": "1", "KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "sesame",
		}, nil},
		{"SCRAM without TLS sends no password", map[string]string{
			"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "sesame",
		}, nil},
		{"password in a file", map[string]string{
			"KAFKA_SASL_MECHANISM": "SCRAM-SHA-256", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD_FILE": "password",
		}, nil},
		{"PLAIN without TLS", map[string]string{
			"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "sesame",
		}, []string{"KAFKA_SASL_MECHANISM", "KAFKA_TLS", "KAFKA_SASL_PLAIN_WITHOUT_TLS"}},
		{"PLAIN without TLS, allowed", map[string]string{
			"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "sesame", "KAFKA_SASL_PLAIN_WITHOUT_TLS": "true",
		}, nil},
		{"several errors at once", map[string]string{
			"KAFKA_TLS": "true", "KAFKA_TLS_CA_FILE": "absent.pem", "KAFKA_TLS_CERT_FILE": "cert.pem",
			"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_PASSWORD": "sesame", "KAFKA_SASL_PASSWORD_FILE": "password",
		}, []string{"KAFKA_TLS_CA_FILE", "KAFKA_TLS_KEY_FILE", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD_FILE"}},
		{"files without a certificate", map[string]string{
			"KAFKA_TLS": "true", "KAFKA_TLS_CA_FILE": "password", "KAFKA_TLS_CERT_FILE": "password", "KAFKA_TLS_KEY_FILE": "password",
		}, []string{"KAFKA_TLS_CA_FILE", "KAFKA_TLS_CERT_FILE"}},
		{"settings without effect", map[string]string{"KAFKA_TLS_CA_FILE": "password", "KAFKA_SASL_PASSWORD": "sesame"}, []string{"KAFKA_TLS=true", "KAFKA_SASL_MECHANISM"}},
		{"unknown mechanism", map[string]string{"KAFKA_SASL_MECHANISM": "GSSAPI"}, []string{"KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"}},
		{"no password", map[string]string{"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "KAFKA_SASL_USERNAME": "me"}, []string{"KAFKA_SASL_PASSWORD"}},
		{"empty password file", map[string]string{
			"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD_FILE": "empty",
		}, []string{"KAFKA_SASL_PASSWORD_FILE"}},
		{"missing database certificate", map[string]string{
			"DATABASE_URL": "postgres://me:sesame@db/courier?sslmode=verify-full&sslrootcert=absent.pem",
		}, []string{"DATABASE_URL", "absent.pem"}},
		{"unknown sslmode", map[string]string{"DATABASE_URL": "postgres://me:sesame@db/courier?sslmode=strict"}, []string{"DATABASE_URL", "sslmode"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			settings := map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092"}
			maps.Copy(settings, test.settings)
			setenv(t, settings)
			write(t, "password", "sesame\n")
			write(t, "empty", "\n")
			got, err := config.Load()
			if (err != nil) != (test.names != nil) {
				t.Fatalf("Load() = %v", err)
			}
			for _, name := range test.names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("the error does not name %s:\n%v", name, err)
				}
			}
			var log bytes.Buffer
			slog.New(slog.NewJSONHandler(&log, nil)).Info("starting", slog.Any("settings", got), slog.Any("secret", got.KafkaSASLPassword))
			if all := fmt.Sprintf("%v %+v %#v %s", err, got.KafkaSASLPassword, got.KafkaSASLPassword, &log); strings.Contains(all, "sesame") {
				t.Errorf("it shows the password: %s", all)
			}
		})
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTopicsDiffer: with one topic the service would read its own events.
func TestTopicsDiffer(t *testing.T) {
	for topic, good := range map[string]bool{"": true, "assignments": true, "orders": false} {
		setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092", "KAFKA_ORDER_TOPIC": "orders", "KAFKA_ASSIGNMENT_TOPIC": topic})
		if _, err := config.Load(); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "KAFKA_ASSIGNMENT_TOPIC") {
			t.Errorf("%q: %v", topic, err)
		}
	}
}
