package e2e

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"service-courier/test/certificates"
	"service-courier/test/realkafka"
)

// secure is what the tests of TLS, SASL and rights share.
type secure struct {
	files    folder
	ca       *certificates.Authority
	password string
	broker   *realkafka.Broker
	postgres *securePostgres
}

// TestSecure runs the service with the least rights against neighbours that talk
// TLS, and sees what it says when they refuse it.
func TestSecure(t *testing.T) {
	x := &secure{files: folder{t, t.TempDir()}, ca: certificates.NewAuthority(t, "the company"), password: rand.Text()}
	x.files.put("ca.pem", x.ca.PEM)
	x.files.put("password", []byte(x.password+"\n"))
	x.files.putPair("client", x.ca.Issue(user, time.Hour))
	x.files.putPair(certified, x.ca.Issue(certified, time.Hour))
	x.broker = secureKafka(t, x.files, x.ca, x.password)
	x.postgres = newSecurePostgres(t, x.ca, x.ca.Issue("postgres", time.Hour), x.password)

	for _, w := range []way{
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
		t.Run(w.name, func(t *testing.T) { x.lets(t, w) })
	}
	t.Run("what Kafka refuses", func(t *testing.T) { x.kafkaRefuses(t) })
	t.Run("the certificate of Kafka has expired", func(t *testing.T) { x.brokerHasExpired(t) })
	t.Run("Kafka refuses a client certificate", func(t *testing.T) { x.clientHasExpired(t) })
	t.Run("what PostgreSQL refuses", func(t *testing.T) { x.postgresRefuses(t) })
	t.Run("PostgreSQL refuses a client certificate", func(t *testing.T) { x.roleHasExpired(t) })
}

// way is how the service may come in.
type way struct {
	name      string
	listener  string
	principal string // "" for one that may do everything
	role      *url.Userinfo
	settings  []string
}

// stack has a topic, a group and a database of its own, with the schema, whose
// rows the roles may read and write.
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
		s.runs([]string{"DATABASE_URL=" + s.database}, "migrate", "grant", role)
	}
	return s
}

// settings lead to the secure listener and, as the role, to the stack's database.
func (x *secure) settings(s *stack, listener string, role *url.Userinfo, more ...string) []string {
	parameters := []string{"sslrootcert=" + x.files.path("ca.pem")}
	if role.Username() == certified {
		parameters = append(parameters, "sslcert="+x.files.path(certified+".pem"), "sslkey="+x.files.path(certified+".key"))
	}
	return append([]string{
		"DATABASE_URL=" + x.postgres.as(role, s.database, parameters...),
		"KAFKA_BROKERS=" + x.broker.Listener(listener), "KAFKA_TLS=true", "KAFKA_TLS_CA_FILE=" + x.files.path("ca.pem"),
	}, more...)
}

// lets has an order find its courier, the doctor find nothing wrong, and a dead
// letter redriven, with the right to read the topic and the group and no other
// until the redrive, which also writes.
func (x *secure) lets(t *testing.T, w way) {
	s := x.stack(t)
	settings := x.settings(s, w.listener, w.role, w.settings...)
	if w.principal != "" {
		s.allow(w.principal, s.topicRight(sarama.AclOperationRead), s.groupRight())
	}
	s.serviceOrder("--step", "created=24h")
	service := s.serve(settings...)
	s.eventually("the service is ready", s.ready)
	s.assigns()

	client := s.client()
	s.eventually("all is committed", func() error { return want(s.published(client), s.committed(client)) })
	printed := s.runs(append(s.settings(), settings...), "doctor")
	if !strings.Contains(printed, "0 warn, 0 FAIL") || !strings.Contains(printed, "over TLS 1.3") {
		t.Errorf("doctor finds something, or no TLS:\n%s", printed)
	}

	s.publish(client, "no/id", "created")
	s.eventually("there is a dead letter", func() error { return want(int64(1), s.count("select count(*) from dead_letters")) })
	redrive := []string{"deadletters", "redrive", "1"}
	if w.principal != "" {
		code, printed := s.tries(append(s.settings(), settings...), redrive...)
		if code != 1 || !strings.Contains(printed, "WRITE") || s.count("select count(*) from dead_letters where status = 'waiting'") != 1 {
			t.Errorf("without the right to write, redrive ended with exit code %d:\n%s", code, printed)
		}
		s.allow(w.principal, s.topicRight(sarama.AclOperationWrite))
	}
	s.runs(append(s.settings(), settings...), redrive...)
	s.eventually("the letter came again", func() error { return want(int64(2), s.count("select count(*) from dead_letters")) })
	for _, l := range service.lines() {
		if l.What != "" {
			t.Errorf("something was absent: %+v", l)
		}
	}
	s.sound()
}

// assigns sees that the service works: a new order gets a new courier.
func (s *stack) assigns() {
	s.Helper()
	s.couriers(1)
	id := s.mustPost()
	s.eventually("the order has its courier", func() error {
		return want(int64(1), s.count("select count(*) from courier_orders where order_id = $1", id))
	})
}

// reading is what the log calls what a user with the right to DESCRIBE a topic is
// refused.
const reading = "reading of the kafka topic"

// refusal is one that somebody mends: what the log has to say of it, doctor too
// where it comes across it, and the change that is to end it.
type refusal struct {
	what, mend string
	change     func()
}

// told is how often the log tells of it.
func (i instance) told(r refusal) (n int) {
	for _, l := range i.lines() {
		if l.Level == "WARN" && l.What == r.what && strings.Contains(l.Error, r.mend) {
			n++
		}
	}
	return n
}

// mends waits for each refusal in turn and mends it, while the service runs. Then
// the service works, and has told each just once. The settings are its own.
func (s *stack) mends(service instance, settings []string, refusals ...refusal) {
	s.Helper()
	for _, r := range refusals {
		s.eventually("it tells how to mend "+r.what, func() error { return want(1, service.told(r)) })
		if err := s.ready(); err == nil {
			s.Errorf("it is ready while %s is refused", r.what)
		}
		code, printed := s.tries(append(s.settings(), settings...), "doctor")
		if r.what != reading && (code != 1 || !strings.Contains(printed, r.mend)) { // doctor reads no record
			s.Errorf("doctor does not tell how to mend %s:\n%s", r.what, printed)
		}
		r.change()
	}
	s.assigns()
	s.eventually("the service is ready", s.ready)
	for _, r := range refusals {
		if n := service.told(r); n != 1 {
			s.Errorf("it tells %d times how to mend %s: %s", n, r.what, r.mend)
		}
	}
	absent := slices.DeleteFunc(service.lines(), func(l line) bool { return l.Level != "WARN" || l.What == "" })
	if len(absent) != len(refusals) {
		s.Errorf("it tells of %d absences, want the %d refusals: %+v", len(absent), len(refusals), absent)
	}
}
