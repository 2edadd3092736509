package config_test

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"

	"service-courier/internal/config"
)

// setenv changes to an empty directory, clears every setting and sets the given ones.
func setenv(t *testing.T, settings map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, name := range []string{
		"HTTP_ADDR", "HTTP_ALLOWED_HOSTS", "DATABASE_URL", "KAFKA_BROKERS", "KAFKA_ORDER_TOPIC", "KAFKA_GROUP_ID", "ORDER_SERVICE_URL",
		"DELIVERY_OVERDUE", "PHONE_REGION", "API_TOKENS", "API_TOKENS_FILE", "INSECURE", "RATE_LIMIT", "PPROF_ADDR", "LOG_LEVEL", "LOG_FORMAT", "RESYNC_INTERVAL", "RETENTION",
		"KAFKA_TLS", "KAFKA_TLS_CA_FILE", "KAFKA_TLS_CERT_FILE", "KAFKA_TLS_KEY_FILE", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME",
		"KAFKA_SASL_PASSWORD", "KAFKA_SASL_PASSWORD_FILE", "KAFKA_SASL_PLAIN_WITHOUT_TLS",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
		"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_TRACES_SAMPLER", "COURIER_URL", "COURIER_TOKEN", "PGPASSWORD",
	} {
		t.Setenv(name, "") // restores it after the test
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range settings {
		t.Setenv(name, value)
	}
}

const database = "postgres://me:sesame@db:5432/courier?sslmode=disable"

func TestDefaults(t *testing.T) {
	setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092,b:9092"})
	got, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got.HTTPAddr != "127.0.0.1:8082" || got.KafkaTopic != "order.status.changed" || got.KafkaGroupID != "service-courier" ||
		got.OrderServiceURL != "http://localhost:8080" || len(got.KafkaBrokers) != 2 || got.LogLevel != slog.LevelInfo {
		t.Errorf("Load() = %+v", got)
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("starting", slog.Any("settings", got))
	if strings.Contains(out.String(), "sesame") {
		t.Errorf("the password is in the log: %s", out.String())
	}
}

func TestErrorNamesEveryBadSetting(t *testing.T) {
	setenv(t, map[string]string{
		"HTTP_ADDR": "8082", "HTTP_ALLOWED_HOSTS": "http://courier", "DATABASE_URL": "mysql://me:sesame@db/x", "KAFKA_BROKERS": "a", "ORDER_SERVICE_URL": "localhost:8080",
		"DELIVERY_OVERDUE": "forget", "PHONE_REGION": "Russia", "API_TOKENS": "sesame", "INSECURE": "perhaps", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "RESYNC_INTERVAL": "1ms", "RETENTION": "90m", "RATE_LIMIT": "-1", "PPROF_ADDR": ":6060",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "foo", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "localhost:4318",
	})
	_, err := config.Load()
	if err == nil {
		t.Fatal("Load returned no error")
	}
	for _, name := range []string{
		"HTTP_ADDR", "HTTP_ALLOWED_HOSTS", "DATABASE_URL", "KAFKA_BROKERS", "ORDER_SERVICE_URL", "DELIVERY_OVERDUE", "PHONE_REGION", "API_TOKENS", "INSECURE", "LOG_LEVEL", "LOG_FORMAT", "RESYNC_INTERVAL", "RETENTION", "RATE_LIMIT", "PPROF_ADDR",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
	} {
		if !strings.Contains(err.Error(), "\n"+name+" ") && !strings.Contains(err.Error(), "\n"+name+": ") {
			t.Errorf("the error does not name %s:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "sesame") {
		t.Errorf("the error shows a secret:\n%v", err)
	}
}

func TestErrorNamesMissingSettings(t *testing.T) {
	setenv(t, nil)
	_, err := config.Load()
	for _, name := range []string{"DATABASE_URL", "KAFKA_BROKERS"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}

func TestEnvironmentTakesPrecedenceOverDotEnv(t *testing.T) {
	setenv(t, map[string]string{"KAFKA_BROKERS": "env:9092"})
	file := "DATABASE_URL=" + database + "\nKAFKA_BROKERS=file:9092\n"
	if err := os.WriteFile(".env", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load()
	if err != nil || got.DatabaseURL != database || got.KafkaBrokers[0] != "env:9092" {
		t.Errorf("Load() = %+v, %v", got, err)
	}
}

func TestUnparsableDotEnvShowsNoSecret(t *testing.T) {
	setenv(t, nil)
	if err := os.WriteFile(".env", []byte("DATABASE_URL=\"postgres://me:sesame@db/x\nKAFKA BROKERS\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load()
	if err == nil || !strings.Contains(err.Error(), ".env") || strings.Contains(err.Error(), "sesame") {
		t.Errorf("err = %v, want the file named and no secret", err)
	}
}
