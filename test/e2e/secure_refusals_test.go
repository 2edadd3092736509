package e2e

import (
	"net/url"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"service-courier/test/certificates"
)

// kafkaRefuses: one refusal after the other, from an unknown authority to a missing right,
// each fixed while the service runs; then a right is revoked.
func (x *secure) kafkaRefuses(t *testing.T) {
	s := x.stack(t)
	const principal = "User:" + user
	files := folder{t, t.TempDir()}
	ca := files.put("ca.pem", certificates.NewAuthority(t, "another company").PEM)
	password := files.put("password", []byte("not-"+x.password))
	s.serviceOrder("--step", "created=24h")
	settings := x.settings(s, listenSASL, url.UserPassword(user, x.password),
		"KAFKA_TLS_CA_FILE="+ca, "KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "KAFKA_SASL_USERNAME="+user, "KAFKA_SASL_PASSWORD_FILE="+password)
	service := s.serve(settings...)
	const group, topic = "kafka consumer group", "kafka topic"
	read := s.topicRight(sarama.AclOperationRead)
	toRead := refusal{reading, "READ the topic", func() { s.allow(principal, read) }}
	s.fixEach(service, settings,
		refusal{group, "KAFKA_TLS_CA_FILE", func() { files.put("ca.pem", x.ca.PEM) }},
		refusal{group, "KAFKA_SASL_USERNAME", func() { files.put("password", []byte(x.password)) }},
		refusal{topic, "READ the topic", func() { s.allow(principal, s.topicRight(sarama.AclOperationDescribe)) }},
		refusal{group, "READ the group", func() { s.allow(principal, s.groupRight()) }},
		toRead,
	)

	s.revoke(principal, read)
	s.eventually("it is logged again", func() error { return want(2, service.logged(toRead)) })
	toRead.apply()
	s.checkAssigns()
}

// brokerCertificateExpired, until the broker gets another one.
func (x *secure) brokerCertificateExpired(t *testing.T) {
	s := x.stack(t)
	s.serviceOrder("--step", "created=24h")
	settings := x.settings(s, listenExpired, url.UserPassword(user, x.password))
	s.fixEach(s.serve(settings...), settings, refusal{"kafka consumer group", "renew the server's certificate", func() {
		p := x.ca.Issue("broker", time.Hour)
		s.renewKeystore("expired", x.files.put("renewed.keystore", append(p.Key, p.Certificate...)))
	}})
}

// clientCertificateExpired, until the service's files are renewed.
func (x *secure) clientCertificateExpired(t *testing.T) {
	s := x.stack(t)
	s.allow("User:CN="+user, s.topicRight(sarama.AclOperationRead), s.groupRight())
	files := folder{t, t.TempDir()}
	certificate, key := files.putPair("client", x.ca.Issue(user, -time.Minute))
	s.serviceOrder("--step", "created=24h")
	settings := x.settings(s, listenMutual, url.UserPassword(user, x.password),
		"KAFKA_TLS_CERT_FILE="+certificate, "KAFKA_TLS_KEY_FILE="+key)
	s.fixEach(s.serve(settings...), settings, refusal{"kafka consumer group", "KAFKA_TLS_CERT_FILE", func() {
		files.putPair("client", x.ca.Issue(user, time.Hour))
	}})
}

// postgresRefuses: one refusal after the other, from an expired certificate to a missing
// right, on its own server.
func (x *secure) postgresRefuses(t *testing.T) {
	p := newSecurePostgres(t, x.ca, x.ca.Issue("postgres", -time.Minute), x.password)
	s := newStack(t, x.broker.Addr(), p.URL("courier"))
	s.secrets = []string{x.password}
	if err := x.broker.CreateTopic(t.Context(), s.topic, partitions); err != nil {
		t.Fatal(err)
	}
	s.migrate()
	files := folder{t, t.TempDir()}
	ca := files.put("ca.pem", certificates.NewAuthority(t, "another company").PEM)
	s.serviceOrder("--step", "created=24h")
	settings := []string{"DATABASE_URL=" + p.urlFor(url.UserPassword(user, "not-"+x.password), s.database, "sslrootcert="+ca)}
	const what = "postgresql"
	s.fixEach(s.serve(settings...), settings,
		refusal{what, "renew the server's certificate", func() { p.useCertificate(x.ca.Issue("postgres", time.Hour)) }},
		refusal{what, "sslrootcert", func() { files.put("ca.pem", x.ca.PEM) }},
		refusal{what, "password of DATABASE_URL", func() { p.admin("ALTER ROLE " + user + " PASSWORD 'not-" + x.password + "'") }},
		refusal{"database schema", "migrate grant", func() { s.mustRun([]string{"DATABASE_URL=" + s.database}, "migrate", "grant", user) }},
	)
}

// roleCertificateExpired: PostgreSQL refuses the certificate until its files are renewed.
func (x *secure) roleCertificateExpired(t *testing.T) {
	s := x.stack(t)
	files := folder{t, t.TempDir()}
	certificate, key := files.putPair("role", x.ca.Issue(certified, -time.Minute))
	s.serviceOrder("--step", "created=24h")
	settings := []string{"DATABASE_URL=" + x.postgres.urlFor(url.User(certified), s.database,
		"sslrootcert="+x.files.path("ca.pem"), "sslcert="+certificate, "sslkey="+key)}
	s.fixEach(s.serve(settings...), settings, refusal{"postgresql", "sslcert", func() { files.putPair("role", x.ca.Issue(certified, time.Hour)) }})
}
