// Package dsn reads connection strings of PostgreSQL, in both forms that psql accepts. All
// commands use it, so that they refuse the same strings with the same errors.
package dsn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const want = "want postgres://user:password@host:5432/database, or host=… dbname=… user=… password=…"

// MinConns is what the leader locks and one batch need at the same time.
const MinConns = 4

var (
	scheme     = regexp.MustCompile(`^postgres(ql)?://`)
	badPercent = regexp.MustCompile(`%($|[^0-9A-Fa-f]|.$|.[^0-9A-Fa-f])`)
)

// Parse returns the configuration of a pool. Its errors show no part of raw that may
// belong to the password.
func Parse(raw string) (*pgxpool.Config, error) {
	if raw == "" {
		return nil, errors.New("is not set: " + want + "; for 'service-courier dev', run the export line of its banner")
	}
	if err := check(raw); err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(raw)
	if err != nil { // the error quotes raw, then gives the reason
		text := err.Error()
		return nil, errors.New("is invalid: " + text[strings.LastIndex(text, "`: ")+len("`: "):])
	}
	return cfg, checkParameters(cfg)
}

func check(raw string) error {
	if scheme.MatchString(raw) {
		_, _, err := splitURL(raw)
		return err
	}
	return checkKeywords(raw)
}

// splitURL returns what stands before the @, and the hosts with their ports, the database
// and the parameters behind it. It refuses a URL in which pgx, libpq and a reader could
// take different parts for the password: then a part of the password would become a host
// name, and go to the log and to DNS.
func splitURL(raw string) (login, rest string, err error) {
	rest = raw[len(scheme.FindString(raw)):]
	if i := strings.IndexFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }); i >= 0 {
		return "", "", encode(rest[i])
	}
	if badPercent.MatchString(rest) || strings.Contains(rest, "%00") {
		return "", "", encode('%')
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		if bad := strings.IndexAny(rest[:i], "@/?#"); bad >= 0 {
			return "", "", encode(rest[bad])
		}
		login, rest = rest[:i], rest[i+1:]
	}
	if strings.Contains(rest, "#") {
		return "", "", encode('#')
	}
	if rest == "" || rest == "/" {
		return "", "", errors.New("has no host: " + want)
	}
	hosts := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		hosts = rest[:i]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') && !isPort(host[i+1:]) {
			return "", "", errors.New("a port is not a number up to 65535: " + want +
				", and @ / ? # % of the password as %40 %2F %3F %23 %25")
		}
	}
	return login, rest, nil
}

func encode(c byte) error {
	return fmt.Errorf("contains a raw %q where it is ambiguous: write it as %%%02X in the user, the password and the parameters", c, c)
}

// isPort accepts an empty port as well, which means the default.
func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil || s == ""
}

// keyword matches one "name = value" of the other form.
var keyword = regexp.MustCompile(`^\s*([A-Za-z][A-Za-z0-9_.]*)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*|)(?:\s+|$)`)

// checkKeywords refuses what psql refuses. What follows a space in a password without
// quotes would become the name of a parameter, and go to the log of the server.
func checkKeywords(raw string) error {
	if !strings.Contains(raw, "=") || strings.Contains(raw, "://") && !strings.Contains(raw[:strings.Index(raw, "://")], "=") {
		return errors.New("is no connection string: " + want)
	}
	for rest := raw; strings.TrimSpace(rest) != ""; {
		found := keyword.FindStringSubmatch(rest)
		if found == nil {
			return errors.New(`is not a list of name=value: a value with a space, ' or \ needs quotes, as in password='it\'s'`)
		}
		if !parameters.MatchString(found[1]) {
			return errors.New("contains an unknown parameter: a value with a space needs quotes, as in password='a b'")
		}
		rest = rest[len(found[0]):]
	}
	return nil
}

// parameters are the names of psql's parameters, of pgx' own, and of the settings of a
// session that a connection may need.
var parameters = regexp.MustCompile(`^(host|hostaddr|port|dbname|database|user|password|passfile|service|servicefile|options|replication|` +
	`application_name|fallback_application_name|client_encoding|connect_timeout|target_session_attrs|load_balance_hosts|` +
	`ssl[a-z_]*|gss[a-z]*|krb[a-z]*|channel_binding|require_auth|requirepeer|keepalives[a-z_]*|tcp_user_timeout|` +
	`(min|max)_protocol_version|pool_[a-z_]+|default_query_exec_mode|(statement|description)_cache_capacity|` +
	`search_path|role|timezone|[a-z_]*_timeout|[a-z_]*_mem|[a-z_]*style|enable_[a-z]+|jit|plan_cache_mode|synchronous_commit)$`)

// notNeeded are parameters of psql without effect on a Go program: its own defaults serve.
var notNeeded = regexp.MustCompile(`^(keepalives[a-z_]*|tcp_user_timeout|sslcompression|gsslib|fallback_application_name)$`)

// unsupported are parameters of psql that a server would refuse as unknown settings. To
// leave one out silently could connect with less protection than was asked for.
var unsupported = regexp.MustCompile(`^(hostaddr|requirepeer|sslcrl|sslcrldir|ssl_(min|max)_protocol_version|gssencmode|gssdelegation|replication|load_balance_hosts)$`)

// harmless are values of unsupported parameters that say what is done anyway.
var harmless = map[string]string{"gssencmode": "disable prefer", "gssdelegation": "0", "replication": "false off no 0", "load_balance_hosts": "disable"}

func checkParameters(cfg *pgxpool.Config) error {
	session := cfg.ConnConfig.RuntimeParams
	for name, value := range session {
		switch {
		case notNeeded.MatchString(name), unsupported.MatchString(name) && isOneOf(value, harmless[name]):
			delete(session, name)
		case unsupported.MatchString(name):
			return fmt.Errorf("contains %s, which is not supported: remove it", name)
		}
	}
	if encoding, set := session["client_encoding"]; set && !isOneOf(strings.ToLower(encoding), "utf8 utf-8 unicode auto") {
		return errors.New("contains client_encoding: remove it, the text of the service is UTF-8")
	}
	// Also where the database or the role has other defaults.
	session["client_encoding"] = "UTF8"
	session["standard_conforming_strings"] = "on" // without it pgx refuses simple queries
	switch mode := cfg.ConnConfig.DefaultQueryExecMode; mode {
	case pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe:
		if cfg.ConnConfig.StatementCacheCapacity == 0 || cfg.ConnConfig.DescriptionCacheCapacity == 0 {
			return errors.New("statement_cache_capacity and description_cache_capacity must not be 0: remove them; behind a connection pooler set default_query_exec_mode=cache_describe")
		}
	default:
		return fmt.Errorf("default_query_exec_mode=%s does not work: remove it, or set cache_describe if a connection pooler is in between",
			strings.ReplaceAll(mode.String(), " ", "_"))
	}
	if n, set := MaxConns(cfg); set && n < MinConns {
		return fmt.Errorf("pool_max_conns=%d is too small: at least %d are needed", n, MinConns)
	}
	return nil
}

func isOneOf(value, list string) bool {
	for one := range strings.FieldsSeq(list) {
		if one == value {
			return true
		}
	}
	return false
}

var maxConns = regexp.MustCompile(`\bpool_max_conns\s*=`)

// MaxConns returns pool_max_conns, and whether it is set.
func MaxConns(cfg *pgxpool.Config) (n int, set bool) {
	return int(cfg.MaxConns), maxConns.MatchString(cfg.ConnString())
}

// Mask shows user, hosts, ports and database.
func Mask(raw string) string {
	const notShown = "(not shown: it may contain a password)"
	if scheme.MatchString(raw) {
		login, rest, err := splitURL(raw)
		if err != nil {
			return notShown
		}
		rest, _, _ = strings.Cut(rest, "?")
		if user, _, secret := strings.Cut(login, ":"); secret {
			login = user + ":xxxxx"
		}
		if login != "" {
			login += "@"
		}
		return "postgres://" + login + rest
	}
	cfg, err := Parse(raw)
	if err != nil {
		return notShown
	}
	c := cfg.ConnConfig
	hosts := []string{net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))}
	for _, f := range c.Fallbacks {
		if next := net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))); next != hosts[len(hosts)-1] { // TLS and plain text are two entries
			hosts = append(hosts, next)
		}
	}
	return "postgres://" + c.User + "@" + strings.Join(hosts, ",") + "/" + c.Database
}

// HasPassword reports whether raw contains a password, which PGPASSWORD does not replace.
func HasPassword(raw string) bool {
	password := ""
	if scheme.MatchString(raw) {
		login, rest, _ := splitURL(raw) // "" if it is refused anyway
		_, password, _ = strings.Cut(login, ":")
		_, query, _ := strings.Cut(rest, "?")
		given, _ := url.ParseQuery(query) // as for pgx, the first of a name counts
		return password != "" || given.Get("password") != ""
	}
	for found := keyword.FindStringSubmatch(raw); found != nil; found = keyword.FindStringSubmatch(raw) {
		if found[1] == "password" {
			password = found[2] // the last one counts
		}
		raw = raw[len(found[0]):]
	}
	return password != "" && password != "''"
}
