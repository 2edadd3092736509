package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"service-courier/internal/access"
	"service-courier/internal/phone"
)

const (
	minResyncInterval = time.Second    // a shorter one would resync without a pause
	minRetention      = 24 * time.Hour // a typing error must not empty the tables
)

// validate returns an error for each bad setting. It skips the checks that depend
// on unparsed settings, which have no value.
func (c Config) validate() []error {
	var bad []error
	for _, check := range []struct {
		run       func() error
		dependsOn []string // settings that may be unparsed
	}{
		{c.checkHTTPAddr, nil},
		{c.checkAllowedHosts, nil},
		{c.checkAuthentication, []string{"INSECURE"}},
		{c.CheckDatabaseURL, nil},
		{c.checkBrokers, nil},
		{c.checkTopics, nil},
		{c.checkKafkaTLS, []string{"KAFKA_TLS"}},
		{c.checkSASL, []string{"KAFKA_TLS", "KAFKA_SASL_PLAIN_WITHOUT_TLS"}},
		{c.CheckOrderServiceURL, nil},
		{c.CheckOrderServiceGRPC, []string{"ORDER_SERVICE_GRPC_TLS"}},
		{c.checkOrderServicePrefer, nil},
		{c.checkResyncInterval, []string{"RESYNC_INTERVAL"}},
		{c.checkRetention, []string{"RETENTION"}},
		{c.checkOverdue, nil},
		{c.checkPhoneRegion, nil},
		{c.checkLogFormat, nil},
		{c.checkTokens, nil},
		{c.checkRateLimit, []string{"RATE_LIMIT"}},
		{c.checkEvents, nil},
		{c.checkPprof, nil},
		{c.checkOTLP, nil},
	} {
		if c.parsed(check.dependsOn...) == nil {
			bad = append(bad, check.run())
		}
	}
	return bad
}

// parsed returns an error if one of the settings has no value.
func (c Config) parsed(names ...string) error {
	for _, name := range names {
		if slices.Contains(c.unparsed, name) {
			return fmt.Errorf("%s has no value", name)
		}
	}
	return nil
}

// invalid joins errors into one, a line each; nil without errors.
func invalid(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("invalid settings (see .env.example):\n%w", err)
	}
	return nil
}

// formats describes the values of each type that is not text.
var formats = map[reflect.Type]string{
	reflect.TypeFor[bool]():          "true or false",
	reflect.TypeFor[int]():           "a whole number",
	reflect.TypeFor[time.Duration](): "a time with its unit, such as 90s or 2160h",
	reflect.TypeFor[slog.Level]():    "debug, info, warn or error",
}

// explainUnparsed returns the errors with the format each setting must have, and
// the names of the settings. The values are shown: secrets are text, which is
// always parsed.
func explainUnparsed(errs []error, values map[string]string) (explained []error, names []string) {
	for _, err := range errs {
		parse, ok := errors.AsType[env.ParseError](err)
		field, known := reflect.TypeFor[Config]().FieldByName(parse.Name)
		format := formats[parse.Type]
		if !ok || !known || format == "" {
			explained = append(explained, err)
			continue
		}
		name := field.Tag.Get("env")
		names = append(names, name)
		explained = append(explained, fmt.Errorf("%s %q: want %s", name, values[name], format))
	}
	return explained, names
}

func (c Config) checkHTTPAddr() error {
	if !isListenAddress(c.HTTPAddr) {
		return fmt.Errorf("HTTP_ADDR %q: want host:port, such as 127.0.0.1:8082; a port is at most 65535", c.HTTPAddr)
	}
	return nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

func (c Config) checkAllowedHosts() error {
	for _, name := range c.HTTPAllowedHosts {
		if !hostName.MatchString(name) {
			return fmt.Errorf("HTTP_ALLOWED_HOSTS %q: want host names without scheme and port, separated by commas", name)
		}
	}
	return nil
}

// checkAuthentication refuses an unprotected API on an address that other
// machines can reach.
func (c Config) checkAuthentication() error {
	if !isListenAddress(c.HTTPAddr) || c.hasTokens() || c.onLoopback() || c.Insecure {
		return nil
	}
	return fmt.Errorf("HTTP_ADDR %q: other machines could use the API without a token: "+
		"set API_TOKENS or API_TOKENS_FILE, listen on 127.0.0.1, or set INSECURE=1 in a protected network", c.HTTPAddr)
}

// OpenToNetwork reports that the API needs no token and listens on more than
// loopback.
func (c Config) OpenToNetwork() bool { return !c.hasTokens() && !c.onLoopback() }

func (c Config) onLoopback() bool {
	host, _, err := net.SplitHostPort(c.HTTPAddr)
	return err == nil && access.IsLoopback(host)
}

func (c Config) hasTokens() bool { return c.APITokens != "" || c.APITokensFile != "" }

func (c Config) checkTokens() error {
	switch {
	case c.APITokens != "" && c.APITokensFile != "":
		return errors.New("API_TOKENS and API_TOKENS_FILE are both set: keep one of them")
	case c.APITokensFile != "":
		if _, err := access.OpenFile(c.APITokensFile, nil); err != nil {
			return fmt.Errorf("API_TOKENS_FILE: %w", err)
		}
	case c.APITokens != "":
		tokens, err := access.Parse(string(c.APITokens))
		if err == nil && tokens.Len() == 0 {
			err = errors.New("contains no token: want name:role:token, several separated by commas")
		}
		if err != nil {
			return fmt.Errorf("API_TOKENS: %w", err)
		}
	}
	return nil
}

func (c Config) checkRateLimit() error {
	if c.RateLimit < 0 {
		return fmt.Errorf("RATE_LIMIT %d: want requests per second and address, or 0 for no limit", c.RateLimit)
	}
	return nil
}

// checkEvents requires tokens where the API does.
func (c Config) checkEvents() error {
	switch {
	case c.EventsAddr == "":
		return nil
	case !isListenAddress(c.EventsAddr):
		return fmt.Errorf("EVENTS_ADDR %q: want host:port, such as 127.0.0.1:8081; a port is at most 65535", c.EventsAddr)
	case !access.IsLoopback(c.EventsAddr) && !c.hasTokens() && !c.Insecure:
		return fmt.Errorf("EVENTS_ADDR %s can be reached from other machines and requires no token: set API_TOKENS or API_TOKENS_FILE, or listen on 127.0.0.1", c.EventsAddr)
	}
	return nil
}

// checkPprof allows loopback only: profiles show what is in memory.
func (c Config) checkPprof() error {
	if c.PprofAddr != "" && (!isListenAddress(c.PprofAddr) || !access.IsLoopback(c.PprofAddr)) {
		return fmt.Errorf("PPROF_ADDR %q: want a loopback address, such as 127.0.0.1:6060; a port is at most 65535", c.PprofAddr)
	}
	return nil
}

// CheckOrderServiceURL returns an error without the password of the URL.
func (c Config) CheckOrderServiceURL() error {
	if !isHTTPURL(c.OrderServiceURL) || strings.ContainsAny(c.OrderServiceURL, "?#") {
		return fmt.Errorf("ORDER_SERVICE_URL %s: want http://host:port, without ? and #; a port is at most 65535", mask(c.OrderServiceURL))
	}
	return nil
}

// CheckOrderServiceGRPC returns an error if the address cannot be used.
func (c Config) CheckOrderServiceGRPC() error {
	if c.OrderServiceGRPCAddr != "" && !isDialAddress(c.OrderServiceGRPCAddr) {
		return fmt.Errorf("ORDER_SERVICE_GRPC_ADDR %s: want host:port, such as localhost:50051, without http://", maskAddress(c.OrderServiceGRPCAddr))
	}
	return c.parsed("ORDER_SERVICE_GRPC_TLS")
}

func (c Config) checkOrderServicePrefer() error {
	switch {
	case c.OrderServicePrefer != PreferHTTP && c.OrderServicePrefer != PreferGRPC:
		return fmt.Errorf("ORDER_SERVICE_PREFER %q: want http or grpc", c.OrderServicePrefer)
	case c.OrderServicePrefer == PreferGRPC && c.OrderServiceGRPCAddr == "":
		return errors.New("ORDER_SERVICE_PREFER is grpc: set ORDER_SERVICE_GRPC_ADDR too")
	}
	return nil
}

// checkOTLP: the SDK accepts any text and fails later, when it sends traces.
func (c Config) checkOTLP() error {
	return errors.Join(
		checkCollector("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint, "http://localhost:4318"),
		checkCollector("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.OTLPTraces, "http://localhost:4318/v1/traces"),
	)
}

func checkCollector(name, value, example string) error {
	if value != "" && !isHTTPURL(value) {
		return fmt.Errorf("%s %s: want a URL such as %s, or empty for no traces", name, mask(value), example)
	}
	return nil
}

// checkHeaders: the SDK leaves out a header that it cannot read, and logs the token in it.
func (e environment) checkHeaders(name string) error {
	for header := range strings.SplitSeq(e.values[name], ",") {
		key, value, found := strings.Cut(header, "=")
		_, err := url.PathUnescape(value)
		if strings.TrimSpace(header) != "" && (!found || err != nil || !token.MatchString(strings.TrimSpace(key))) {
			return fmt.Errorf("%s: want name=value, several separated by commas, as in Authorization=Bearer%%20TOKEN; write , and %% of a value as %%2C and %%25", name)
		}
	}
	return nil
}

// token is the name of a header.
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (c Config) checkResyncInterval() error {
	if c.ResyncInterval < minResyncInterval {
		return fmt.Errorf("RESYNC_INTERVAL %v: want %v or more, such as 1m", c.ResyncInterval, minResyncInterval)
	}
	return nil
}

func (c Config) checkRetention() error {
	if c.Retention != 0 && c.Retention < minRetention {
		return fmt.Errorf("RETENTION %v: want 0 (keep everything) or %v or more, such as 2160h for 90 days", c.Retention, minRetention)
	}
	return nil
}

func (c Config) checkOverdue() error {
	if c.DeliveryOverdue != OverdueFlag && c.DeliveryOverdue != OverdueHold {
		return fmt.Errorf("DELIVERY_OVERDUE %q: want %s or %s", c.DeliveryOverdue, OverdueFlag, OverdueHold)
	}
	return nil
}

func (c Config) checkLogFormat() error {
	if c.LogFormat != "" && c.LogFormat != "text" && c.LogFormat != "json" {
		return fmt.Errorf("LOG_FORMAT %q: want text or json, or empty for text on a terminal and json elsewhere", c.LogFormat)
	}
	return nil
}

func (c Config) checkPhoneRegion() error {
	if _, err := phone.NewReader(c.PhoneRegion); err != nil {
		return fmt.Errorf("PHONE_REGION %w", err)
	}
	return nil
}

// isListenAddress accepts host:port; the host may be empty and the port 0.
func isListenAddress(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	return err == nil && isPort(port)
}

// isDialAddress accepts host:port with both given, and no user or password.
func isDialAddress(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	return err == nil && host != "" && isPort(port) && port != "0" && !strings.Contains(addr, "@")
}

// maskAddress quotes an address, unless it is a URL whose password an error would show.
func maskAddress(addr string) string {
	if strings.Contains(addr, "@") {
		return notShown
	}
	return strconv.Quote(addr)
}

func isHTTPURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && (u.Port() == "" || isPort(u.Port())) && !secretInPath(u)
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}
