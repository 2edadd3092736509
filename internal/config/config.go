// Package config is the only reader of the environment. It knows every setting
// of `serve`, its default and its bounds, and nothing of what is done with it.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/joho/godotenv"
)

// Config of `serve`. The names in the tags are the environment's.
type Config struct {
	HTTPAddr     string   `env:"HTTP_ADDR" envDefault:"127.0.0.1:8082"`
	DatabaseURL  string   `env:"DATABASE_URL"`
	KafkaBrokers []string `env:"KAFKA_BROKERS"`
	KafkaTopic   string   `env:"KAFKA_ORDER_TOPIC" envDefault:"order.status.changed"`
	KafkaGroupID string   `env:"KAFKA_GROUP_ID" envDefault:"service-courier"`

	KafkaTLS                 bool   `env:"KAFKA_TLS"`
	KafkaTLSCAFile           string `env:"KAFKA_TLS_CA_FILE"`   // empty: the system's
	KafkaTLSCertFile         string `env:"KAFKA_TLS_CERT_FILE"` // of this client; empty: none
	KafkaTLSKeyFile          string `env:"KAFKA_TLS_KEY_FILE"`
	KafkaSASLMechanism       string `env:"KAFKA_SASL_MECHANISM"` // empty: no SASL
	KafkaSASLUsername        string `env:"KAFKA_SASL_USERNAME"`
	KafkaSASLPassword        Secret `env:"KAFKA_SASL_PASSWORD"`
	KafkaSASLPasswordFile    string `env:"KAFKA_SASL_PASSWORD_FILE"` // instead of the password
	KafkaSASLPlainWithoutTLS bool   `env:"KAFKA_SASL_PLAIN_WITHOUT_TLS"`

	OrderServiceURL string        `env:"ORDER_SERVICE_URL" envDefault:"http://localhost:8080"`
	DeliveryOverdue string        `env:"DELIVERY_OVERDUE" envDefault:"flag"`
	APITokens       Secret        `env:"API_TOKENS"`                  // empty: nobody is asked who he is
	APITokensFile   string        `env:"API_TOKENS_FILE"`             // instead of them
	RateLimit       int           `env:"RATE_LIMIT" envDefault:"100"` // requests a second of one address
	PprofAddr       string        `env:"PPROF_ADDR"`                  // empty: no profiles
	OTLPEndpoint    string        `env:"OTEL_EXPORTER_OTLP_ENDPOINT"` // both empty: no traces
	OTLPTraces      string        `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	Insecure        bool          `env:"INSECURE"`
	SweepInterval   time.Duration `env:"SWEEP_INTERVAL" envDefault:"1m"`
	Retention       time.Duration `env:"RETENTION" envDefault:"0"` // 0: nothing is removed
	LogLevel        slog.Level    `env:"LOG_LEVEL" envDefault:"info"`
}

// Load reads the environment, and before it the file .env of the working
// directory where there is one; what is set in the environment wins. The error
// names every setting that is bad.
func Load() (Config, error) {
	if err := loadDotEnv(); err != nil {
		return Config{}, err
	}
	cfg, err := env.ParseAs[Config]()
	for i, b := range cfg.KafkaBrokers {
		cfg.KafkaBrokers[i] = strings.TrimSpace(b)
	}
	var parse env.AggregateError
	switch {
	case errors.As(err, &parse):
		bad, names := unread(parse.Errors)
		return cfg, settings(append(bad, cfg.problems(names...)...))
	case err != nil:
		return cfg, fmt.Errorf("read the environment: %w", err)
	}
	return cfg, settings(cfg.problems())
}

// LoadDatabaseURL reads DATABASE_URL alone, for commands that need no other
// setting.
func LoadDatabaseURL() (string, error) {
	if err := loadDotEnv(); err != nil {
		return "", err
	}
	c := Config{DatabaseURL: os.Getenv("DATABASE_URL")}
	return c.DatabaseURL, settings(none(c.checkDatabaseURL()))
}

func loadDotEnv() error {
	err := godotenv.Load()
	var path *fs.PathError
	switch {
	case err == nil, errors.Is(err, os.ErrNotExist):
		return nil
	case errors.As(err, &path):
		return fmt.Errorf("read the file .env: %w", err)
	}
	// The parser's error quotes the file, secrets and all.
	return errors.New("the file .env cannot be parsed: want lines of NAME=value, as in .env.example")
}

// settings joins what is wrong into one error, a line each.
func settings(problems []error) error {
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("the settings are not usable (.env.example shows them all):\n%w", errors.Join(problems...))
}

func none(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}

// problems is what is wrong, unread aside: those settings have no value.
func (c Config) problems(unread ...string) []error {
	var out []error
	for _, check := range []check{
		{run: c.checkHTTPAddr},
		{run: c.checkReach, reads: []string{"INSECURE"}},
		{run: c.checkDatabaseURL},
		{run: c.checkBrokers},
		{run: c.checkKafkaTLS, reads: []string{"KAFKA_TLS"}},
		{run: c.checkSASL, reads: []string{"KAFKA_TLS", "KAFKA_SASL_PLAIN_WITHOUT_TLS"}},
		{run: c.checkOrderServiceURL},
		{run: c.checkSweepInterval, reads: []string{"SWEEP_INTERVAL"}},
		{run: c.checkRetention, reads: []string{"RETENTION"}},
		{run: c.checkOverdue},
		{run: c.checkTokens},
		{run: c.checkRateLimit, reads: []string{"RATE_LIMIT"}},
		{run: c.checkPprof},
		{run: c.checkOTLP},
	} {
		if check.can(unread) {
			out = append(out, none(check.run())...)
		}
	}
	return out
}

func (c Config) checkDatabaseURL() error {
	if c.DatabaseURL == "" {
		return errors.New("DATABASE_URL is not set: want postgres://user:password@host:5432/database")
	}
	u, err := url.Parse(c.DatabaseURL)
	if err != nil || u.Host == "" || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return fmt.Errorf("DATABASE_URL %s: want postgres://user:password@host:5432/database", mask(c.DatabaseURL))
	}
	// pgx knows libpq's parameters, and reads the files that some of them name.
	if _, err := pgconn.ParseConfig(c.DatabaseURL); err != nil {
		text := err.Error() // cannot parse `the URL`: why
		return fmt.Errorf("DATABASE_URL %s: %s", mask(c.DatabaseURL), text[strings.LastIndex(text, "`: ")+len("`: "):])
	}
	return nil
}

func (c Config) checkOrderServiceURL() error {
	if !isHTTP(c.OrderServiceURL) {
		return fmt.Errorf("ORDER_SERVICE_URL %s: want http://host:port; a port is at most 65535", mask(c.OrderServiceURL))
	}
	return nil
}

// checkOTLP does not leave it to the SDK, which takes anything and then cannot send.
func (c Config) checkOTLP() error {
	return errors.Join(
		checkCollector("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint, "http://localhost:4318"),
		checkCollector("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.OTLPTraces, "http://localhost:4318/v1/traces"),
	)
}

func checkCollector(name, value, example string) error {
	if value != "" && !isHTTP(value) {
		return fmt.Errorf("%s %s: want a URL such as %s, or nothing for no traces", name, mask(value), example)
	}
	return nil
}

// minSweepInterval keeps a sweep from following on the heels of the last.
const minSweepInterval = time.Second

func (c Config) checkSweepInterval() error {
	if c.SweepInterval < minSweepInterval {
		return fmt.Errorf("SWEEP_INTERVAL %v: want %v or more, such as 1m", c.SweepInterval, minSweepInterval)
	}
	return nil
}

// minRetention keeps a typing error from emptying the tables.
const minRetention = 24 * time.Hour

func (c Config) checkRetention() error {
	if c.Retention != 0 && c.Retention < minRetention {
		return fmt.Errorf("RETENTION %v: want 0 (keep everything) or %v or more, such as 2160h for 90 days", c.Retention, minRetention)
	}
	return nil
}

// What DELIVERY_OVERDUE may be.
const (
	OverdueFlag    = "flag"    // a late delivery stays as it is
	OverdueRelease = "release" // its courier is freed, and the order held
)

func (c Config) checkOverdue() error {
	if c.DeliveryOverdue != OverdueFlag && c.DeliveryOverdue != OverdueRelease {
		return fmt.Errorf("DELIVERY_OVERDUE %q: want %s or %s", c.DeliveryOverdue, OverdueFlag, OverdueRelease)
	}
	return nil
}

// mask shows a URL without its secrets; what is no URL is not shown at all.
func mask(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "(not shown: it may hold a password)"
	}
	u.RawQuery = ""
	return u.Redacted()
}

// LogValue shows the settings in effect, without secrets.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("http_addr", c.HTTPAddr),
		slog.String("database_url", mask(c.DatabaseURL)),
		slog.Any("kafka_brokers", c.KafkaBrokers),
		slog.String("kafka_order_topic", c.KafkaTopic),
		slog.String("kafka_group_id", c.KafkaGroupID),
		slog.Bool("kafka_tls", c.KafkaTLS),
		slog.String("kafka_sasl_mechanism", c.KafkaSASLMechanism),
		slog.String("kafka_sasl_username", c.KafkaSASLUsername),
		slog.String("order_service_url", mask(c.OrderServiceURL)),
		slog.String("delivery_overdue", c.DeliveryOverdue),
		slog.Bool("asks_for_tokens", c.asksCallers()),
		slog.Int("rate_limit", c.RateLimit),
		slog.String("pprof_addr", c.PprofAddr),
		slog.Duration("sweep_interval", c.SweepInterval),
		slog.Duration("retention", c.Retention),
	)
}
