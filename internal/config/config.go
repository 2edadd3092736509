// Package config reads the settings of `serve` and of the client commands from
// the environment and the file .env, with their defaults and bounds. No other
// package reads the environment.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"service-courier/internal/dsn"
)

// Config of `serve`. The tags are the names of the environment variables.
type Config struct {
	HTTPAddr         string   `env:"HTTP_ADDR" envDefault:"127.0.0.1:8082"`
	HTTPAllowedHosts []string `env:"HTTP_ALLOWED_HOSTS"` // besides localhost and IP addresses

	DatabaseURL  string   `env:"DATABASE_URL"`
	KafkaBrokers []string `env:"KAFKA_BROKERS"`
	KafkaTopic   string   `env:"KAFKA_ORDER_TOPIC" envDefault:"order.status.changed"`
	// KafkaAssignmentTopic is the topic of the outbox; empty: off.
	KafkaAssignmentTopic string `env:"KAFKA_ASSIGNMENT_TOPIC"`
	KafkaGroupID         string `env:"KAFKA_GROUP_ID" envDefault:"service-courier"`

	KafkaTLS                 bool   `env:"KAFKA_TLS"`
	KafkaTLSCAFile           string `env:"KAFKA_TLS_CA_FILE"`   // empty: the authorities of the system
	KafkaTLSCertFile         string `env:"KAFKA_TLS_CERT_FILE"` // empty: no client certificate
	KafkaTLSKeyFile          string `env:"KAFKA_TLS_KEY_FILE"`
	KafkaSASLMechanism       string `env:"KAFKA_SASL_MECHANISM"` // empty: no SASL
	KafkaSASLUsername        string `env:"KAFKA_SASL_USERNAME"`
	KafkaSASLPassword        Secret `env:"KAFKA_SASL_PASSWORD"`
	KafkaSASLPasswordFile    string `env:"KAFKA_SASL_PASSWORD_FILE"` // instead of the password
	KafkaSASLPlainWithoutTLS bool   `env:"KAFKA_SASL_PLAIN_WITHOUT_TLS"`

	OrderServiceURL      string `env:"ORDER_SERVICE_URL" envDefault:"http://localhost:8080"`
	OrderServiceGRPCAddr string `env:"ORDER_SERVICE_GRPC_ADDR"` // empty: no gRPC
	OrderServiceGRPCTLS  bool   `env:"ORDER_SERVICE_GRPC_TLS"`
	OrderServicePrefer   string `env:"ORDER_SERVICE_PREFER" envDefault:"http"`

	DeliveryOverdue string        `env:"DELIVERY_OVERDUE" envDefault:"flag"`
	APITokens       Secret        `env:"API_TOKENS"`                  // empty: no authentication
	APITokensFile   string        `env:"API_TOKENS_FILE"`             // instead of API_TOKENS
	RateLimit       int           `env:"RATE_LIMIT" envDefault:"100"` // requests per second and address
	EventsAddr      string        `env:"EVENTS_ADDR"`                 // of the events page alone; empty: off
	PprofAddr       string        `env:"PPROF_ADDR"`                  // empty: off
	OTLPEndpoint    string        `env:"OTEL_EXPORTER_OTLP_ENDPOINT"` // both empty: no traces
	OTLPTraces      string        `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	Insecure        bool          `env:"INSECURE"`
	ResyncInterval  time.Duration `env:"RESYNC_INTERVAL" envDefault:"1m"`
	Retention       time.Duration `env:"RETENTION" envDefault:"0"`     // 0: keep everything
	PhoneRegion     string        `env:"PHONE_REGION" envDefault:"RU"` // of phones without country code
	LogLevel        slog.Level    `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat       string        `env:"LOG_FORMAT"` // empty: text on a terminal, else json

	unparsed []string // names of the settings that have no value
}

// Values of ORDER_SERVICE_PREFER.
const (
	PreferHTTP = "http" // an order is fetched over gRPC only after a 404
	PreferGRPC = "grpc" // over HTTP only if gRPC fails
)

// Values of DELIVERY_OVERDUE.
const (
	OverdueFlag = "flag" // only report an overdue delivery
	OverdueHold = "hold" // free its courier and put the order on hold
)

// Secret is a setting that logs and messages do not show.
type Secret string

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Load reads the environment and the file .env of the working directory, if there
// is one; the environment takes precedence. The error names every bad setting.
func Load() (Config, error) {
	e, err := readEnvironment()
	if err != nil {
		return Config{}, err
	}
	cfg, err := env.ParseAsWithOptions[Config](env.Options{Environment: e.values})
	cfg.KafkaBrokers, cfg.HTTPAllowedHosts = trimmed(cfg.KafkaBrokers), trimmed(cfg.HTTPAllowedHosts)
	unparsed, ok := errors.AsType[env.AggregateError](err)
	if err != nil && !ok {
		return cfg, fmt.Errorf("read the environment: %w", err)
	}
	bad, names := explainUnparsed(unparsed.Errors, e.values)
	cfg.unparsed = names
	bad = append(bad, cfg.validate()...)
	if cfg.OTLPEndpoint+cfg.OTLPTraces != "" {
		bad = append(bad, e.checkHeaders("OTEL_EXPORTER_OTLP_HEADERS"), e.checkHeaders("OTEL_EXPORTER_OTLP_TRACES_HEADERS"))
	}
	origins := []error{e.checkDatabaseOrigin()}
	for _, secret := range []string{"KAFKA_SASL_PASSWORD", "KAFKA_SASL_PASSWORD_FILE"} {
		origins = append(origins, e.checkOrigins(secret, "KAFKA_BROKERS", "KAFKA_TLS_CA_FILE", "KAFKA_SASL_PLAIN_WITHOUT_TLS"))
	}
	origins = append(origins, e.checkSecretFile("KAFKA_SASL_PASSWORD_FILE", cfg.KafkaSASLPasswordFile, "KAFKA_BROKERS"))
	for _, secret := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		origins = append(origins, e.checkOrigins(secret, "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
			"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"))
	}
	if err := errors.Join(origins...); err != nil { // doctor connects with the settings that it gets
		return Config{}, invalid(append(bad, err)...)
	}
	if err := invalid(bad...); err != nil {
		return cfg, err
	}
	return cfg, e.exportOTEL()
}

// trimmed returns the items of a list without spaces around them and without empty
// ones, such as that of a comma at the end.
func trimmed(list []string) []string {
	for i, item := range list {
		list[i] = strings.TrimSpace(item)
	}
	return slices.DeleteFunc(list, func(item string) bool { return item == "" })
}

// LoadDatabaseURL reads only DATABASE_URL, for commands without other settings.
func LoadDatabaseURL() (string, error) {
	e, err := readEnvironment()
	if err != nil {
		return "", err
	}
	c := Config{DatabaseURL: e.values["DATABASE_URL"]}
	return c.DatabaseURL, invalid(c.CheckDatabaseURL(), e.checkDatabaseOrigin())
}

// LoadHTTPAddr reads only HTTP_ADDR, for a command that calls the service; other
// settings may be bad.
func LoadHTTPAddr() (string, error) {
	e, err := readEnvironment()
	if err != nil {
		return "", err
	}
	cfg, _ := env.ParseAsWithOptions[Config](env.Options{Environment: e.values}) // HTTP_ADDR is text and always parsed
	return cfg.HTTPAddr, invalid(cfg.checkHTTPAddr())
}

// Client is the settings of the client commands.
type Client struct {
	URL   string `env:"COURIER_URL" envDefault:"http://127.0.0.1:8082"`
	Token string `env:"COURIER_TOKEN"`
}

const defaultURL = "http://127.0.0.1:8082" // of the tag

// LoadClient reads the settings of the client commands, as Load does. A url other
// than "" replaces COURIER_URL.
func LoadClient(url string) (Client, error) {
	e, err := readEnvironment()
	if err != nil {
		return Client{}, err
	}
	cfg, err := env.ParseAsWithOptions[Client](env.Options{Environment: e.values})
	if err != nil {
		return Client{}, fmt.Errorf("read the environment: %w", err)
	}
	if url != "" {
		cfg.URL = url
		return cfg, nil
	}
	if cfg.URL == defaultURL { // .env.example contains it
		return cfg, nil
	}
	return cfg, e.checkOrigins("COURIER_TOKEN", "COURIER_URL")
}

// LogValue shows the settings without secrets.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("http_addr", c.HTTPAddr),
		slog.Any("http_allowed_hosts", c.HTTPAllowedHosts),
		slog.String("database_url", dsn.Mask(c.DatabaseURL)),
		slog.Any("kafka_brokers", c.KafkaBrokers),
		slog.String("kafka_order_topic", c.KafkaTopic),
		slog.String("kafka_assignment_topic", c.KafkaAssignmentTopic),
		slog.String("kafka_group_id", c.KafkaGroupID),
		slog.Bool("kafka_tls", c.KafkaTLS),
		slog.String("kafka_sasl_mechanism", c.KafkaSASLMechanism),
		slog.String("kafka_sasl_username", c.KafkaSASLUsername),
		slog.String("order_service_url", mask(c.OrderServiceURL)),
		slog.String("order_service_grpc_addr", c.OrderServiceGRPCAddr),
		slog.Bool("order_service_grpc_tls", c.OrderServiceGRPCTLS),
		slog.String("order_service_prefer", c.OrderServicePrefer),
		slog.String("delivery_overdue", c.DeliveryOverdue),
		slog.Bool("authentication", c.hasTokens()),
		slog.Int("rate_limit", c.RateLimit),
		slog.String("events_addr", c.EventsAddr),
		slog.String("pprof_addr", c.PprofAddr),
		slog.Duration("resync_interval", c.ResyncInterval),
		slog.Duration("retention", c.Retention),
		slog.String("phone_region", c.PhoneRegion),
	)
}

// mask shows a URL without its secrets, and no text that is not a URL.
func mask(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || secretInPath(u) {
		return notShown
	}
	u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = "", false, "", ""
	if _, hasPassword := u.User.Password(); u.User != nil && !hasPassword && strings.HasPrefix(u.Scheme, "http") {
		u.User = url.User("xxxxx") // it may be a token
	}
	return u.Redacted()
}

const notShown = "(not shown: it may contain a password)"

// secretInPath reports an @ after the host: then a / ? or # of the password ended the
// host, and the rest of the password is in the path.
func secretInPath(u *url.URL) bool {
	return strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@")
}
