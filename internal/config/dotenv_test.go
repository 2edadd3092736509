package config_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/config"
)

func writeDotEnv(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(".env", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDotEnvValuesAreTakenAsWritten reads each value as the SASL password.
func TestDotEnvValuesAreTakenAsWritten(t *testing.T) {
	for text, want := range map[string]string{
		`Pa$WORD1`:                 `Pa$WORD1`,
		`"Pa$WORD1"`:               `Pa$WORD1`,
		`"${HOME}"`:                `${HOME}`,
		`a#b`:                      `a#b`,
		`a # comment`:              `a`,
		"a\t# comment":             `a`,
		`'a # b' # comment`:        `a # b`,
		`a\nb`:                     `a\nb`,
		`"a\nb\\"`:                 `a\nb\\`,
		`'a"b'`:                    `a"b`,
		`a"b'c`:                    `a"b'c`,
		` padded `:                 `padded`,
		`' padded '`:               ` padded `,
		`a=b=c`:                    `a=b=c`,
		"\"\"":                     ``,
		`'"in quotes"'`:            `"in quotes"`,
		`пароль`:                   `пароль`,
		"a\r":                      `a`,
		`%41!*&;()[]{}<>|~^@,/?:b`: `%41!*&;()[]{}<>|~^@,/?:b`,
	} {
		for _, file := range []string{
			"KAFKA_SASL_PASSWORD=" + text + "\n",
			"\uFEFFexport KAFKA_SASL_PASSWORD = " + text,
			"# comment\r\n\r\nLOG_LEVEL=warn\r\nKAFKA_SASL_PASSWORD=" + text + "\r\n",
		} {
			setenv(t, map[string]string{
				"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092", "KAFKA_TLS": "true",
				"KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_MECHANISM": "PLAIN",
			})
			writeDotEnv(t, file)
			got, err := config.Load()
			if string(got.KafkaSASLPassword) != want || err != nil && want != "" {
				t.Errorf("%q: password %q, want %q, %v", file, string(got.KafkaSASLPassword), want, err)
			}
		}
	}
}

// TestBadDotEnv names the cause and shows no value.
func TestBadDotEnv(t *testing.T) {
	utf16le := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune("API_TOKENS=sesame\r\n")) {
		utf16le = append(utf16le, byte(u), byte(u>>8))
	}
	for name, tt := range map[string]struct{ text, want string }{
		"UTF-16":                {string(utf16le), "UTF-16"},
		"UTF-16 without a mark": {string(utf16le[2:]), "UTF-16"},
		"Windows-1251":          {"A=1\nAPI_TOKENS=sesame\xef\xe0\n", "line 2 is not UTF-8"},
		"open quote":            {"API_TOKENS=\"sesame\n", "line 1: API_TOKENS: begins with \""},
		"text after a quote":    {"API_TOKENS='sesame'sesame\n", "line 1: API_TOKENS: has text after the closing '"},
		"escaped quote":         {`API_TOKENS="ses\"ame"`, "after the closing"},
		"no assignment":         {"LOG_LEVEL=info\n\nsesame\n", "line 3: want NAME=value"},
		"begins with #":         {"API_TOKENS=#sesame\n", "quotes"},
		"control character":     {"API_TOKENS=sesame\x1b[2J\n", "U+001B"},
		"old Macintosh":         {"API_TOKENS=sesame\rLOG_LEVEL=info\r", "U+000D"},
	} {
		setenv(t, nil)
		writeDotEnv(t, tt.text)
		_, err := config.Load()
		if err == nil || !strings.Contains(err.Error(), ".env") || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v, want %q and no value", name, err, tt.want)
		}
	}
	setenv(t, nil)
	if err := os.Mkdir(".env", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := config.LoadClient(""); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("a directory: %v", err)
	}
}

// TestDotEnvSetsOnlySettings: a stranger's file cannot set what other programs or
// libraries read.
func TestDotEnvSetsOnlySettings(t *testing.T) {
	setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092"})
	foreign := []string{"EDITOR", "VISUAL", "PATH", "HTTPS_PROXY", "PGPASSWORD", "PGOPTIONS", "SSL_CERT_FILE", "LD_PRELOAD", "GODEBUG", "TMPDIR", "NO_COLOR", "PG_BIN_DIR"}
	var file strings.Builder
	for _, name := range foreign {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
		file.WriteString(name + "=evil\n")
	}
	writeDotEnv(t, file.String()+"OTEL_TRACES_SAMPLER=always_off\nLOG_LEVEL=warn\n")
	got, err := config.Load()
	if err != nil || got.LogLevel != slog.LevelWarn || os.Getenv("OTEL_TRACES_SAMPLER") != "always_off" {
		t.Errorf("Load() = %+v, %v; OTEL_TRACES_SAMPLER=%s", got, err, os.Getenv("OTEL_TRACES_SAMPLER"))
	}
	for _, name := range foreign {
		if value, set := os.LookupEnv(name); set {
			t.Errorf("%s=%s in the environment", name, value)
		}
	}
}

// TestSecretIsNotSentToAnAddressOfDotEnv, unless the secret is in .env as well.
func TestSecretIsNotSentToAnAddressOfDotEnv(t *testing.T) {
	const evil = "COURIER_URL=http://evil.example\n"
	client := func() error { _, err := config.LoadClient(""); return err }
	serve := func() error { _, err := config.Load(); return err }
	migrate := func() error { _, err := config.LoadDatabaseURL(); return err }
	file := func(path string) string {
		return "KAFKA_BROKERS=evil:9092\nKAFKA_SASL_MECHANISM=PLAIN\nKAFKA_SASL_USERNAME=me\nKAFKA_SASL_PLAIN_WITHOUT_TLS=true\n" +
			"KAFKA_SASL_PASSWORD_FILE=" + path + "\nDATABASE_URL=" + database
	}
	sasl := map[string]string{
		"DATABASE_URL": database, "KAFKA_BROKERS": "good:9092",
		"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "sesame",
	}
	for name, tt := range map[string]struct {
		load        func() error
		environment map[string]string
		file        string
		names       []string // in the error; nil: accepted
	}{
		"token":                 {client, map[string]string{"COURIER_TOKEN": "sesame"}, evil, []string{"COURIER_TOKEN", "COURIER_URL", ".env"}},
		"both in .env":          {client, nil, evil + "COURIER_TOKEN=sesame\n", nil},
		"both in environment":   {client, map[string]string{"COURIER_TOKEN": "sesame", "COURIER_URL": "http://good"}, evil, nil},
		"no token":              {client, nil, evil, nil},
		"the default":           {client, map[string]string{"COURIER_TOKEN": "sesame"}, "COURIER_URL=http://127.0.0.1:8082\n", nil},
		"--server":              {func() error { _, err := config.LoadClient("http://good"); return err }, map[string]string{"COURIER_TOKEN": "sesame"}, evil, nil},
		"token in .env":         {client, map[string]string{"COURIER_URL": "http://good"}, "COURIER_TOKEN=sesame\n", nil},
		"SASL password":         {serve, map[string]string{"KAFKA_SASL_PASSWORD": "sesame"}, "KAFKA_BROKERS=evil:9092\nDATABASE_URL=" + database, []string{"KAFKA_SASL_PASSWORD", "KAFKA_BROKERS"}},
		"SASL password file":    {serve, map[string]string{"KAFKA_SASL_PASSWORD_FILE": "/run/secrets/kafka"}, "KAFKA_BROKERS=evil:9092\nDATABASE_URL=" + database, []string{"KAFKA_SASL_PASSWORD_FILE", "KAFKA_BROKERS"}},
		"SASL without TLS":      {serve, sasl, "KAFKA_SASL_PLAIN_WITHOUT_TLS=true\n", []string{"KAFKA_SASL_PASSWORD", "KAFKA_SASL_PLAIN_WITHOUT_TLS"}},
		"SASL, other authority": {serve, sasl, "KAFKA_TLS=true\nKAFKA_TLS_CA_FILE=evil.pem\n", []string{"KAFKA_SASL_PASSWORD", "KAFKA_TLS_CA_FILE"}},
		"SASL, .env.example":    {serve, sasl, "KAFKA_TLS_CA_FILE=\nKAFKA_SASL_PLAIN_WITHOUT_TLS=false\n", nil},
		"any file to a broker":  {serve, nil, file("/etc/passwd"), []string{"KAFKA_SASL_PASSWORD_FILE", "KAFKA_BROKERS", "outside"}},
		"file above .env":       {serve, nil, file("../secret"), []string{"KAFKA_SASL_PASSWORD_FILE", "outside"}},
		"link to any file":      {serve, nil, file("link"), []string{"KAFKA_SASL_PASSWORD_FILE", "outside"}},
		"file beside .env":      {serve, nil, file("password"), nil},
		"authority of traces":   {serve, map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "sesame", "OTEL_EXPORTER_OTLP_ENDPOINT": "https://good"}, "OTEL_EXPORTER_OTLP_CERTIFICATE=evil.pem\n", []string{"OTEL_EXPORTER_OTLP_HEADERS"}},
		"PGPASSWORD, quoted":    {migrate, map[string]string{"PGPASSWORD": "sesame"}, "DATABASE_URL=host=evil user=me dbname=x application_name='a password=b'\n", []string{"PGPASSWORD"}},
		"headers of traces":     {serve, map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "sesame"}, "OTEL_EXPORTER_OTLP_ENDPOINT=http://evil\n", []string{"OTEL_EXPORTER_OTLP_HEADERS"}},
		"PGPASSWORD":            {migrate, map[string]string{"PGPASSWORD": "sesame"}, "DATABASE_URL=postgres://me@evil/x\n", []string{"PGPASSWORD", "DATABASE_URL"}},
		"PGPASSWORD of no use":  {migrate, map[string]string{"PGPASSWORD": "sesame"}, "DATABASE_URL=" + database, nil},
		"PGPASSWORD, no .env":   {migrate, map[string]string{"PGPASSWORD": "sesame", "DATABASE_URL": "postgres://me@good/x"}, "", nil},
		"PGPASSWORD for serve":  {serve, map[string]string{"PGPASSWORD": "sesame", "KAFKA_BROKERS": "a:1"}, "DATABASE_URL=postgres://me@evil/x\n", []string{"PGPASSWORD"}},
		"empty endpoint, .env":  {serve, map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "sesame", "DATABASE_URL": database, "KAFKA_BROKERS": "a:1"}, "OTEL_EXPORTER_OTLP_ENDPOINT=\n", nil},
		"empty token, evil URL": {client, map[string]string{"COURIER_TOKEN": ""}, evil, nil},
	} {
		setenv(t, tt.environment)
		writeDotEnv(t, tt.file)
		if err := errors.Join(os.WriteFile("password", []byte("x"), 0o600), os.Symlink("/etc/passwd", "link")); err != nil {
			t.Fatal(err)
		}
		err := tt.load()
		if (err != nil) != (tt.names != nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range tt.names {
			if err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame")) {
				t.Errorf("%s: %v, want %s and no secret", name, err, want)
			}
		}
	}
	// doctor connects with whatever Load returns beside its error.
	setenv(t, map[string]string{"KAFKA_SASL_PASSWORD": "sesame"})
	writeDotEnv(t, "KAFKA_BROKERS=evil:9092\n")
	if got, err := config.Load(); err == nil || got.KafkaSASLPassword != "" {
		t.Errorf("Load() = %q, %v", string(got.KafkaSASLPassword), err)
	}
}

// TestQuotesOfDocker: `docker run --env-file` passes the quotes of a value on.
func TestQuotesOfDocker(t *testing.T) {
	for name, value := range map[string]string{"DATABASE_URL": `"` + database + `"`, "KAFKA_SASL_PASSWORD": `'sesame'`, "COURIER_TOKEN": `"sesame"`} {
		setenv(t, map[string]string{name: value})
		_, err := config.Load()
		if err == nil || !strings.Contains(err.Error(), name+": ") || !strings.Contains(err.Error(), "quotes") || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCommaAtTheEndOfAList(t *testing.T) {
	setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092, b:9092,", "API_TOKENS": goodToken + ","})
	if got, err := config.Load(); err != nil || len(got.KafkaBrokers) != 2 {
		t.Errorf("brokers %q, %v", got.KafkaBrokers, err)
	}
	setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": " ,"})
	if _, err := config.Load(); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKERS is not set") {
		t.Errorf("only a comma: %v", err)
	}
}

// TestPasswordInDatabaseURL: a password is either read whole or refused with the
// character at fault, and no part of it is shown or becomes a host name.
func TestPasswordInDatabaseURL(t *testing.T) {
	for password, refused := range map[string]string{
		"zqj@wkx@zqjwkx": "%40", "zqj@wkx": "%40", "12/swkx": "%2F", "zqj/wkx": "%2F", "1?swkx": "%3F", "zqj?wkx": "%3F",
		"12#swkx": "%23", "zqj#wkx": "%23", "zqj%wkx": "%25", "zqj%4": "%25", "zqj%": "%25", "zqj wkx": "%20", "zqj\twkx": "%09",
		"zqj,wkx": "", "zqj:wkx": "", "zqj,wkx:1": "", "zqj+wkx": "", "zqj[wkx]": "", "zqj\"wkx": "", "пароль": "", "zqj$wkx": "", "zqj&a=b": "",
		"zqj%40wkx%2F%3F%23%25": "", "12,wkx": "",
	} {
		for _, end := range []string{"/courier", "/courier?sslmode=disable", ":5432/courier", ",db2:5432/courier"} {
			setenv(t, map[string]string{"DATABASE_URL": "postgres://me:" + password + "@db" + end, "KAFKA_BROKERS": "a:9092"})
			cfg, err := config.Load()
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("starting", slog.Any("settings", cfg))
			for _, shown := range []string{log.String(), errorText(err)} {
				if strings.Contains(shown, "wkx") || strings.Contains(shown, "zqj") || strings.Contains(shown, "пароль") {
					t.Errorf("%s%s: the password is shown: %s", password, end, shown)
				}
			}
			if refused != "" {
				if err == nil || !strings.Contains(err.Error(), "DATABASE_URL") || !strings.Contains(err.Error(), refused) {
					t.Errorf("%s%s: %v, want %s named", password, end, err, refused)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s%s: %v", password, end, err)
				continue
			}
			read, err := pgconn.ParseConfig(cfg.DatabaseURL)
			want := strings.NewReplacer("%40", "@", "%2F", "/", "%3F", "?", "%23", "#", "%25", "%").Replace(password)
			if err != nil || read.Password != want || read.Host != "db" || read.Database != "courier" || !strings.Contains(log.String(), "postgres://me:xxxxx@db") {
				t.Errorf("%s%s: %+v, %v, %s", password, end, read, err, &log)
			}
		}
	}
	for _, text := range []string{"postgres://me:sesame/courier", "postgres://sesame:me:x", "postgres://", "host=db password=sesame word", "postgres://me:x@db/c#sesame"} {
		setenv(t, map[string]string{"DATABASE_URL": text, "KAFKA_BROKERS": "a:9092"})
		if _, err := config.Load(); err == nil || !strings.Contains(err.Error(), "DATABASE_URL") || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"postgres:///courier?host=/run/postgresql", "postgresql://db", "postgres://me@[::1]:5432/courier", "postgres://%2Frun%2Fpostgresql/courier", "postgres://me:sesame@/courier", "host=db password=sesame"} {
		setenv(t, map[string]string{"DATABASE_URL": text, "KAFKA_BROKERS": "a:9092"})
		if _, err := config.Load(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestPasswordInOtherURLs: net/http takes a part of such a password for the host.
func TestPasswordInOtherURLs(t *testing.T) {
	for _, name := range []string{"ORDER_SERVICE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		for _, password := range []string{"1/sesame", "1?sesame", "1#sesame"} {
			setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092", name: "http://me:" + password + "@orders:80"})
			if _, err := config.Load(); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "sesame") {
				t.Errorf("%s with %s: %v", name, password, err)
			}
		}
	}
}

// TestPasswordInAddresses: some providers hand out URLs where an address is wanted.
func TestPasswordInAddresses(t *testing.T) {
	for _, name := range []string{"KAFKA_BROKERS", "ORDER_SERVICE_GRPC_ADDR"} {
		for _, value := range []string{"kafka://me:sesame@host:9092", "me:sesame@host:9092", "sesame@host:9092"} {
			setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092", name: value})
			if _, err := config.Load(); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "sesame") {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

// TestHeadersOfTraces: the SDK would log a header that it cannot read.
func TestHeadersOfTraces(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		for value, good := range map[string]bool{
			"Authorization=Bearer%20sesame": true, "a=b, x-key = sesame ,": true, "a=": true,
			"Authorization: Bearer sesame": false, "Bearer sesame": false, "a=b,sesame": false, "x y=sesame": false, "a=%zzsesame": false, "=sesame": false,
		} {
			setenv(t, map[string]string{"DATABASE_URL": database, "KAFKA_BROKERS": "a:9092", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", name: value})
			_, err := config.Load()
			if (err == nil) != good || err != nil && (!strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "sesame")) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
