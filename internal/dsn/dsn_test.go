package dsn_test

import (
	"strings"
	"testing"

	"service-courier/internal/dsn"
)

// TestParse: what psql takes is taken, with the same meaning.
func TestParse(t *testing.T) {
	t.Setenv("PGPASSWORD", "")
	for raw, want := range map[string]string{ // masked, then database and password as pgx reads them
		"postgres://me:sesame@db:5433/courier":                                      "postgres://me:xxxxx@db:5433/courier",
		"postgresql://me@[::1]:5432/courier":                                        "postgres://me@[::1]:5432/courier",
		"postgres://me@db1,db2:5433,[::1]/courier":                                  "postgres://me@db1,db2:5433,[::1]/courier",
		"postgres:///courier":                                                       "postgres:///courier",
		"postgres:///courier?host=/run/postgresql&user=me":                          "postgres:///courier",
		"postgres://me@%2Frun%2Fpostgresql/courier":                                 "postgres://me@%2Frun%2Fpostgresql/courier",
		"postgres://me@%2Frun%2Fpostgresql:5433,db/courier":                         "postgres://me@%2Frun%2Fpostgresql:5433,db/courier",
		"host=db dbname=courier user=me password=sesame":                            "postgres://me@db:5432/courier",
		"host=db1,::1 port=5433,5434 dbname=courier user=me":                        "postgres://me@db1:5433,[::1]:5434/courier",
		`host=/run/postgresql dbname = courier user='me' password='a\'b\\c sesame'`: "postgres://me@/run/postgresql:5432/courier",
		" host=db\tdbname=courier user=me password='' sslmode=disable ":             "postgres://me@db:5432/courier",
		"postgres://me@db/courier?keepalives=1&keepalives_idle=30&tcp_user_timeout=9&fallback_application_name=x&gssencmode=disable&load_balance_hosts=disable": "postgres://me@db/courier",
		"postgres://me@db/courier?target_session_attrs=read-write&connect_timeout=9&application_name=x&options=-csearch_path%3Dours":                            "postgres://me@db/courier",
		"postgres://me@db/courier?pool_max_conns=4&pool_min_conns=1&pool_max_conn_lifetime=1h&pool_health_check_period=1m":                                      "postgres://me@db/courier",
		"postgres://me@db/courier?default_query_exec_mode=cache_describe&client_encoding=utf8":                                                                  "postgres://me@db/courier",
		"postgres://me@db/courier?search_path=ours&statement_timeout=1min&x.y=z":                                                                                "postgres://me@db/courier",
	} {
		cfg, err := dsn.Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		c := cfg.ConnConfig
		if c.Database != "courier" || c.RuntimeParams["client_encoding"] != "UTF8" {
			t.Errorf("%s: database %q, %v", raw, c.Database, c.RuntimeParams)
		}
		if got := dsn.Mask(raw); got != want || strings.Contains(got, "sesame") {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
		if got, want := dsn.HasPassword(raw), strings.Contains(raw, "sesame"); got != want {
			t.Errorf("%s: has a password: %t", raw, got)
		}
		for name := range c.RuntimeParams {
			if strings.HasPrefix(name, "keepalives") || strings.HasPrefix(name, "pool_") || strings.HasPrefix(name, "gss") {
				t.Errorf("%s: the server would refuse %s", raw, name)
			}
		}
	}
}

// TestRefused: the error says what to write, and shows nothing that may be of a password.
func TestRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                                "is not set",
		"courier":                                         "want postgres://",
		"mysql://me:sesame@db/courier?a=b":                "want postgres://",
		"http://me:sesame@db":                             "want postgres://",
		"postgres://":                                     "has no host",
		"postgres://me:sesame@/":                          "has no host",
		"postgres://me:se@same@db/courier":                "%40",
		"host=db password=sesame sesame":                  "needs quotes",
		"host=db password=a sesame=b":                     "needs quotes",
		"host=db password='sesame":                        "needs quotes",
		"host=db password=sesame'x user=me dbname":        "needs quotes",
		"host=db port=x password=sesame":                  "invalid port",
		"host=db,db2 port=1,2,3 password=sesame":          "port numbers",
		"host=db sslmode=sesame":                          "sslmode is invalid",
		"postgres://db/c?client_encoding=LATIN1":          "contains client_encoding: remove it",
		"postgres://db/c?default_query_exec_mode=exec":    "default_query_exec_mode=exec does not work: remove it, or set cache_describe",
		"host=db default_query_exec_mode=simple_protocol": "default_query_exec_mode=simple_protocol does not work",
		"host=db default_query_exec_mode=describe_exec":   "default_query_exec_mode=describe_exec does not work",
		"host=db default_query_exec_mode=sesame":          "invalid default_query_exec_mode",
		"postgres://db/c?statement_cache_capacity=0":      "must not be 0",
		"postgres://db/c?pool_max_conns=3":                "at least 4",
		"postgres://db/c?pool_max_conns=many":             "cannot parse pool_max_conns",
		"postgres://db/c?gssencmode=require":              "gssencmode, which is not supported",
		"postgres://db/c?sslcrl=crl.pem":                  "sslcrl, which is not supported",
		"postgres://db/c?hostaddr=10.0.0.1":               "hostaddr, which is not supported",
	} {
		_, err := dsn.Parse(raw)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		} else if strings.Contains(err.Error(), "sesame") && !strings.Contains(raw, "=sesame") {
			t.Errorf("%s: the error shows the password: %v", raw, err)
		}
		if strings.Contains(dsn.Mask(raw), "sesame") {
			t.Errorf("%s: shown as %s", raw, dsn.Mask(raw))
		}
	}
}
