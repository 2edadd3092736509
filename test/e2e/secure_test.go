package e2e

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"service-courier/test/certificates"
	"service-courier/test/realkafka"
)

// secure is the shared environment of the tests of TLS, SASL and rights.
type secure struct {
	files    folder
	ca       *certificates.Authority
	password string
	broker   *realkafka.Broker
	postgres *securePostgres
}

// TestSecure runs the service with TLS and minimal rights, and checks its messages when
// Kafka or PostgreSQL refuse it.
func TestSecure(t *testing.T) {
	x := &secure{files: folder{t, t.TempDir()}, ca: certificates.NewAuthority(t, "the company"), password: rand.Text()}
	x.files.put("ca.pem", x.ca.PEM)
	x.files.put("password", []byte(x.password+"\n"))
	x.files.putPair("client", x.ca.Issue(user, time.Hour))
	x.files.putPair(certified, x.ca.Issue(certified, time.Hour))
	x.broker = secureKafka(t, x.files, x.ca, x.password)
	x.postgres = newSecurePostgres(t, x.ca, x.ca.Issue("postgres", time.Hour), x.password)

	for _, access := range []access{
		{"TLS", listenTLS, "", url.UserPassword(user, x.password), nil},
		{"client certificates for both", listenMutual, "User:CN=" + user, url.User(certified), []string{
			"KAFKA_TLS_CERT_FILE=" + x.files.path("client.pem"), "KAFKA_TLS_KEY_FILE=" + x.files.path("client.key"),
		}},
		{"PLAIN", listenSASL, "User:" + user, url.UserPassword(user, x.password), []string{
			"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME=" + user, "KAFKA_SASL_PASSWORD=" + x.password,
		}},
		{"SCRAM-SHA-256", listenSASL, "User:" + user, url.UserPassword(user, x.password), []string{
			"KAFKA_SASL_MECHANISM=SCRAM-SHA-256", "KAFKA_SASL_USERNAME=" + user, "KAFKA_SASL_PASSWORD=" + x.password,
		}},
		{"SCRAM-SHA-512", listenSASL, "User:" + user, url.UserPassword(user, x.password), []string{
			"KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "KAFKA_SASL_USERNAME=" + user, "KAFKA_SASL_PASSWORD_FILE=" + x.files.path("password"),
		}},
	} {
		t.Run(access.name, func(t *testing.T) { x.works(t, access) })
	}
	t.Run("Kafka refuses", func(t *testing.T) { x.kafkaRefuses(t) })
	t.Run("expired certificate of Kafka", func(t *testing.T) { x.brokerCertificateExpired(t) })
	t.Run("Kafka refuses an expired client certificate", func(t *testing.T) { x.clientCertificateExpired(t) })
	t.Run("PostgreSQL refuses", func(t *testing.T) { x.postgresRefuses(t) })
	t.Run("PostgreSQL refuses an expired client certificate", func(t *testing.T) { x.roleCertificateExpired(t) })
}

// access is how the service connects to Kafka and PostgreSQL.
type access struct {
	name      string
	listener  string
	principal string // "": has all rights
	role      *url.Userinfo
	settings  []string
}

// stack has a new topic, group and database with the schema, and the grants of the roles.
func (x *secure) stack(t *testing.T) *stack {
	t.Helper()
	name := fmt.Sprintf("db%d", time.Now().UnixNano())
	if err := x.postgres.EnsureDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	s := newStack(t, x.broker.Addr(), x.postgres.URL(name))
	s.secrets = []string{x.password}
	if err := x.broker.CreateTopic(t.Context(), s.topic, partitions); err != nil {
		t.Fatal(err)
	}
	s.migrate()
	for _, role := range []string{user, certified} {
		s.mustRun([]string{"DATABASE_URL=" + s.database}, "migrate", "grant", role)
	}
	return s
}

// settings are for the listener and, as the role, for the database of the stack.
func (x *secure) settings(s *stack, listener string, role *url.Userinfo, more ...string) []string {
	parameters := []string{"sslrootcert=" + x.files.path("ca.pem")}
	if role.Username() == certified {
		parameters = append(parameters, "sslcert="+x.files.path(certified+".pem"), "sslkey="+x.files.path(certified+".key"))
	}
	return append([]string{
		"DATABASE_URL=" + x.postgres.urlFor(role, s.database, parameters...),
		"KAFKA_BROKERS=" + x.broker.Listener(listener), "KAFKA_TLS=true", "KAFKA_TLS_CA_FILE=" + x.files.path("ca.pem"),
	}, more...)
}

// works checks with the least rights that an order is assigned and its events are published,
// that doctor reports no problem, and that a redrive needs the right to write, and reading the
// events the right to read.
func (x *secure) works(t *testing.T, a access) {
	s := x.stack(t)
	settings := x.settings(s, a.listener, a.role, a.settings...)
	events := right{sarama.AclResourceTopic, s.topic + ".events", sarama.AclOperationWrite}
	if err := x.broker.CreateTopic(t.Context(), events.name, partitions); err != nil {
		t.Fatal(err)
	}
	settings = append(settings, "KAFKA_ASSIGNMENT_TOPIC="+events.name)
	if a.principal != "" {
		s.allow(a.principal, s.topicRight(sarama.AclOperationRead), s.groupRight(), events)
	}
	s.serviceOrder("--step", "created=24h")
	service := s.serve(settings...)
	s.eventually("the service is ready", s.ready)
	s.eventually("the outbox has begun", func() error { return want(int64(1), s.count("select count(*) from outbox")) })
	s.checkAssigns()

	client := s.client()
	s.eventually("all records are committed", func() error { return want(s.published(client), s.committed(client)) })
	printed := s.mustRun(append(s.settings(), settings...), "doctor")
	if !strings.Contains(printed, "0 warn, 0 FAIL") || !strings.Contains(printed, "over TLS 1.3") {
		t.Errorf("doctor reports a problem, or no TLS:\n%s", printed)
	}

	s.checkReadsEvents(a.principal, events)

	s.publish(client, "no/id", "created")
	s.eventually("there is a dead letter", func() error { return want(int64(1), s.count("select count(*) from dead_letters")) })
	redrive := []string{"deadletters", "redrive", "1"}
	if a.principal != "" {
		code, printed := s.runCommand(append(s.settings(), settings...), redrive...)
		if code != 1 || !strings.Contains(printed, "WRITE") || s.count("select count(*) from dead_letters where status = 'pending'") != 1 {
			t.Errorf("without the right to write, redrive ended with exit code %d:\n%s", code, printed)
		}
		s.allow(a.principal, s.topicRight(sarama.AclOperationWrite))
	}
	s.mustRun(append(s.settings(), settings...), redrive...)
	s.eventually("the redriven record is a dead letter again", func() error { return want(int64(2), s.count("select count(*) from dead_letters")) })
	for _, l := range service.lines() {
		if l.Component != "" {
			t.Errorf("an outage was logged: %+v", l)
		}
	}
	s.checkInvariants()
}

// checkReadsEvents checks that the API names the missing right to read the events that the
// service publishes, while it stays ready, and reads them once a principal has the right.
func (s *stack) checkReadsEvents(principal string, events right) {
	s.Helper()
	var body struct {
		Code  string
		Items []any
	}
	read := func() error {
		body.Items, body.Code = nil, ""
		status, err := s.get("/api/v1/records?topic="+events.name, &body)
		return errors.Join(err, want(http.StatusOK, status), want(2, len(body.Items))) // queued and assigned
	}
	if principal != "" {
		s.eventually("the right to read is missing", func() error { _ = read(); return want("records_forbidden", body.Code) })
		if err := s.ready(); err != nil {
			s.Error(err)
		}
		events.operation = sarama.AclOperationRead
		s.allow(principal, events)
	}
	s.eventually("the events are read", read)
}

// checkAssigns checks that a new order gets a new courier.
func (s *stack) checkAssigns() {
	s.Helper()
	s.couriers(1)
	id := s.mustPost()
	s.eventually("the order is assigned", func() error {
		return want(int64(1), s.count("select count(*) from courier_orders where order_id = $1", id))
	})
}

// reading is the outage in the log of a user that may only DESCRIBE the topic.
const reading = "reading the kafka topic"

// refusal is an outage in the log, with the fix that the log and doctor name, and the change
// that ends it.
type refusal struct {
	what, fix string
	apply     func()
}

// logged counts the lines of a refusal in the log.
func (i instance) logged(r refusal) (n int) {
	for _, l := range i.lines() {
		if l.Level == "WARN" && l.Component == r.what && strings.Contains(l.Error, r.fix) {
			n++
		}
	}
	return n
}

// fixEach waits for each refusal in turn and fixes it while the service runs. Then the
// service works, and has logged each refusal once.
func (s *stack) fixEach(service instance, settings []string, refusals ...refusal) {
	s.Helper()
	for _, r := range refusals {
		s.eventually("the log names the fix of "+r.what, func() error { return want(1, service.logged(r)) })
		if err := s.ready(); err == nil {
			s.Errorf("ready while %s is refused", r.what)
		}
		code, printed := s.runCommand(append(s.settings(), settings...), "doctor")
		if r.what != reading && (code != 1 || !strings.Contains(printed, r.fix)) { // doctor reads no records
			s.Errorf("doctor does not name the fix of %s:\n%s", r.what, printed)
		}
		r.apply()
	}
	s.checkAssigns()
	s.eventually("the service is ready", s.ready)
	for _, r := range refusals {
		if n := service.logged(r); n != 1 {
			s.Errorf("logged %d times: %s: %s", n, r.what, r.fix)
		}
	}
	outages := slices.DeleteFunc(service.lines(), func(l line) bool { return l.Level != "WARN" || l.Component == "" })
	if len(outages) != len(refusals) {
		s.Errorf("%d outages logged, want %d: %+v", len(outages), len(refusals), outages)
	}
}

// folder is a directory of certificates, keys and passwords.
type folder struct {
	*testing.T
	dir string
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

// put writes a file atomically and returns its path.
func (f folder) put(name string, content []byte) string {
	f.Helper()
	temporary := f.path(name + ".new")
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		f.Fatal(err)
	}
	if err := os.Rename(temporary, f.path(name)); err != nil {
		f.Fatal(err)
	}
	return f.path(name)
}

// putPair writes NAME.pem and NAME.key.
func (f folder) putPair(name string, p certificates.Pair) (certificate, key string) {
	f.Helper()
	return f.put(name+".pem", p.Certificate), f.put(name+".key", p.Key)
}
