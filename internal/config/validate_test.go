package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"service-courier/internal/config"
)

const (
	goodToken  = "ann:operate:sesame-sesame-sesame-sesame"
	otherToken = "bob:read:SESAME-sesame-sesame-sesame"
)

// TestNetworkAddressNeedsTokens, unless INSECURE is set.
func TestNetworkAddressNeedsTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(otherToken), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"0.0.0.0:8082", ":8082", "192.168.1.1:80", "[::]:80", "example.org:80"} {
		for _, tt := range []struct {
			settings map[string]string
			accepted bool
			open     bool
		}{
			{map[string]string{}, false, true},
			{map[string]string{"INSECURE": "false"}, false, true},
			{map[string]string{"INSECURE": "1"}, true, true},
			{map[string]string{"API_TOKENS": goodToken}, true, false},
			{map[string]string{"API_TOKENS_FILE": file}, true, false},
			{map[string]string{"API_TOKENS": goodToken, "INSECURE": "1"}, true, false},
		} {
			setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:1", "HTTP_ADDR": addr})
			for name, value := range tt.settings {
				t.Setenv(name, value)
			}
			got, err := config.Load()
			if (err == nil) != tt.accepted || got.OpenToNetwork() != tt.open {
				t.Errorf("HTTP_ADDR=%s %v: OpenToNetwork %t, %v", addr, tt.settings, got.OpenToNetwork(), err)
			}
		}
	}
}

func TestLoopbackNeedsNoTokens(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "localhost:80", "[::1]:80", "127.0.0.5:1"} {
		setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:1", "HTTP_ADDR": addr})
		if got, err := config.Load(); err != nil || got.OpenToNetwork() {
			t.Errorf("HTTP_ADDR=%s: OpenToNetwork %t, %v", addr, got.OpenToNetwork(), err)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	for set, want := range map[string]string{"": "", "courier": "courier", " a.example , b_1.svc.cluster.local., ": "a.example b_1.svc.cluster.local."} {
		setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:1", "HTTP_ALLOWED_HOSTS": set})
		if got, err := config.Load(); err != nil || strings.Join(got.HTTPAllowedHosts, " ") != want {
			t.Errorf("HTTP_ALLOWED_HOSTS=%s: %q, %v", set, got.HTTPAllowedHosts, err)
		}
	}
	for _, bad := range []string{"http://a", "a:80", "*", "*.example", "a b", "[::1]", "a/b", "-a"} {
		setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:1", "HTTP_ALLOWED_HOSTS": "good," + bad})
		if _, err := config.Load(); err == nil || !strings.Contains(err.Error(), "HTTP_ALLOWED_HOSTS") {
			t.Errorf("HTTP_ALLOWED_HOSTS=%s: %v", bad, err)
		}
	}
}

// TestBadTokensAreRejected without showing them.
func TestBadTokensAreRejected(t *testing.T) {
	dir := t.TempDir()
	empty, bad := filepath.Join(dir, "empty"), filepath.Join(dir, "bad")
	for path, text := range map[string]string{empty: "# no token\n", bad: "ann:admin:sesame-sesame-sesame-sesame"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, settings := range map[string]map[string]string{
		"no token":             {"API_TOKENS": ","},
		"short":                {"API_TOKENS": goodToken + ",bob:read:sesame"},
		"both":                 {"API_TOKENS": goodToken, "API_TOKENS_FILE": bad},
		"no file":              {"API_TOKENS_FILE": filepath.Join(dir, "none")},
		"empty file":           {"API_TOKENS_FILE": empty},
		"bad file":             {"API_TOKENS_FILE": bad},
		"pprof on the network": {"PPROF_ADDR": "0.0.0.0:6060"},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:1"})
			for setting, value := range settings {
				t.Setenv(setting, value)
			}
			_, err := config.Load()
			if err == nil || strings.Contains(err.Error(), "sesame") {
				t.Fatalf("err = %v", err)
			}
			for setting := range settings {
				if !strings.Contains(err.Error(), setting) {
					t.Errorf("%v does not name %s", err, setting)
				}
			}
		})
	}
}

// TestOrderServiceURLIsABase: a query or a fragment would swallow the path of each order.
// No refusal shows a password, however it splits the URL.
func TestOrderServiceURLIsABase(t *testing.T) {
	for url, accepted := range map[string]bool{
		"http://orders:8080":             true,
		"https://me:sesame@orders/base/": true,
		"http://orders:8080?":            false,
		"http://orders:8080?x=1":         false,
		"http://orders:8080/#":           false,
		"http://orders:8080/#x":          false,
		"http://me:1#sesame@orders":      false,
		"http://me:1?sesame@orders":      false,
		"http://me:sesame/@orders?x":     false,
		"http://me:1/sesame@orders?x":    false,
		"http://sesame@orders:8080/?x":   false,
		"http://me:ses\x01ame@orders":    false,
	} {
		setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092", "ORDER_SERVICE_URL": url})
		_, err := config.Load()
		if (err == nil) != accepted {
			t.Errorf("%q: %v", url, err)
		}
		if err != nil && (strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), "me:1")) {
			t.Errorf("%q: the error shows the password: %v", url, err)
		}
	}
}

// TestPorts: an impossible port is an error at the start.
func TestPorts(t *testing.T) {
	for setting, accepted := range map[string]bool{
		"HTTP_ADDR=127.0.0.1:99999":                false,
		"HTTP_ADDR=127.0.0.1:-1":                   false,
		"HTTP_ADDR=127.0.0.1:0":                    true, // any
		"HTTP_ADDR=127.0.0.1:65535":                true,
		"PPROF_ADDR=127.0.0.1:65536":               false,
		"PPROF_ADDR=127.0.0.1:0":                   true,
		"KAFKA_BROKERS=a:9092,localhost:99999":     false,
		"KAFKA_BROKERS=localhost:0":                false,
		"KAFKA_BROKERS=localhost:65535":            true,
		"ORDER_SERVICE_URL=http://localhost:99999": false,
		"ORDER_SERVICE_URL=http://localhost":       true,
	} {
		name, value, _ := strings.Cut(setting, "=")
		all := map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092"}
		maps.Copy(all, map[string]string{name: value})
		setenv(t, all)
		_, err := config.Load()
		if accepted && err != nil || !accepted && (err == nil || !strings.Contains(err.Error(), name+" ") || !strings.Contains(err.Error(), "65535")) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	t.Setenv("HTTP_ADDR", "127.0.0.1:99999")
	if _, err := config.LoadHTTPAddr(); err == nil || !strings.Contains(err.Error(), "65535") {
		t.Errorf("HTTP_ADDR alone: %v", err)
	}
}

// TestUnparsedSettings: a setting that cannot be parsed is named once, with its
// format, and checks that depend on it are skipped.
func TestUnparsedSettings(t *testing.T) {
	bad := map[string]string{}
	for field := range reflect.TypeFor[config.Config]().Fields() {
		if kind := field.Type.Kind(); kind != reflect.String && kind != reflect.Slice {
			bad[field.Tag.Get("env")] = "90d"
		}
	}
	all := map[string]string{
		"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092", "HTTP_ADDR": ":8082", // needs tokens or INSECURE
		"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "sesame",
	}
	maps.Copy(all, bad)
	setenv(t, all)
	_, err := config.Load()
	if err == nil {
		t.Fatal("Load returned no error")
	}
	lines := strings.Split(err.Error(), "\n")[1:] // after the heading
	if len(lines) != len(bad) {
		t.Errorf("want a line for each of %v, got:\n%v", slices.Sorted(maps.Keys(bad)), err)
	}
	formats := map[string]string{
		"INSECURE": "true or false", "RATE_LIMIT": "a whole number", "LOG_LEVEL": "debug, info, warn or error",
		"RETENTION": "a time with its unit, such as 90s or 2160h",
	}
	for name := range bad {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+` "90d": want `+formats[name]) }) {
			t.Errorf("no line gives the format of %s:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "sesame") {
		t.Errorf("the error shows a secret:\n%v", err)
	}
}

// TestLoadHTTPAddr: other settings may be bad.
func TestLoadHTTPAddr(t *testing.T) {
	for addr, want := range map[string]string{"": "127.0.0.1:8082", "0.0.0.0:80": "0.0.0.0:80"} {
		setenv(t, map[string]string{"LOG_LEVEL": "loud", "DATABASE_URL": "none"})
		if addr != "" {
			t.Setenv("HTTP_ADDR", addr)
		}
		if got, err := config.LoadHTTPAddr(); got != want || err != nil {
			t.Errorf("HTTP_ADDR=%s: %q, %v", addr, got, err)
		}
	}
	t.Setenv("HTTP_ADDR", "8082")
	if _, err := config.LoadHTTPAddr(); err == nil || !strings.Contains(err.Error(), "HTTP_ADDR") {
		t.Errorf("only a port: %v", err)
	}
}
