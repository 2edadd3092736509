package kafka

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/outage"
	"service-courier/test/certificates"
)

// TestSecurity: valid settings connect, and the error of others names the fix, also for
// the fetcher, which encrypts by itself.
// TestSecure in test/e2e does the same on Apache Kafka.
func TestSecurity(t *testing.T) {
	const user, password = "courier", "sesame"
	ca := certificates.NewAuthority(t, "the company")
	address := map[bool]string{false: secureKfake(t, ca, time.Hour), true: secureKfake(t, ca, -time.Minute)}
	dir := t.TempDir()
	put := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	right := Security{TLS: true, CAFile: put("ca.pem", ca.PEM), Username: user, Password: password}
	other := put("other.pem", certificates.NewAuthority(t, "another company").PEM)
	passwords := put("password", []byte("\uFEFF"+password+"\r\n"))
	for _, test := range []struct {
		name    string
		expired bool
		change  func(*Security)
		fix     string // "": connects
	}{
		{"PLAIN", false, func(s *Security) { s.Mechanism = "PLAIN" }, ""},
		{"SCRAM-SHA-256", false, func(s *Security) { s.Mechanism = "SCRAM-SHA-256" }, ""},
		{"SCRAM-SHA-512, password in a file", false, func(s *Security) { s.Mechanism, s.Password, s.PasswordFile = "SCRAM-SHA-512", "", passwords }, ""},
		// kfake closes the connection, Kafka returns an error.
		{"a wrong password", false, func(s *Security) { s.Mechanism, s.Password = "SCRAM-SHA-512", "other" }, "KAFKA_SASL_"},
		{"another authority", false, func(s *Security) { s.Mechanism, s.CAFile = "PLAIN", other }, "KAFKA_TLS_CA_FILE"},
		{"missing authority file", false, func(s *Security) { s.CAFile = "missing" }, "KAFKA_TLS_CA_FILE"},
		{"missing password file", false, func(s *Security) { s.Mechanism, s.PasswordFile = "PLAIN", "missing" }, "KAFKA_SASL_PASSWORD_FILE"},
		{"an expired certificate", true, func(s *Security) { s.Mechanism = "PLAIN" }, "renew the server's certificate"},
		{"unencrypted", false, func(s *Security) { s.TLS = false }, "KAFKA_TLS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := right
			test.change(&s)
			cfg := Config{Brokers: []string{address[test.expired]}, Topic: topic, GroupID: "g", Security: s}
			_, inspectErr := Inspect(t.Context(), cfg)
			f := fetcher{cfg: cfg}
			defer f.close()
			_, fetchErr := f.fetch(t.Context(), 0)
			for _, err := range []error{inspectErr, fetchErr} {
				if (err == nil) != (test.fix == "") {
					t.Fatal(err)
				}
				m, ok := errors.AsType[outage.Fixable](err)
				if ok != (test.fix != "") || !strings.Contains(m.Fix, test.fix) {
					t.Errorf("fix %q (%v), want %s", m.Fix, err, test.fix)
				}
				if err != nil && strings.Contains(err.Error(), password) {
					t.Errorf("the error shows the password: %v", err)
				}
			}
		})
	}
}

// secureKfake is a broker with TLS and SASL.
func secureKfake(t *testing.T, ca *certificates.Authority, validFor time.Duration) (addr string) {
	t.Helper()
	const user, password = "courier", "sesame"
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", user, password), kfake.Superuser("SCRAM-SHA-256", user, password), kfake.Superuser("SCRAM-SHA-512", user, password),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.Issue("broker", validFor).TLS(t)}, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k.ListenAddrs()[0]
}

// TestUnsupportedMechanism: sarama drops the broker's answer.
func TestUnsupportedMechanism(t *testing.T) {
	const user, password = "courier", "sesame"
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", user, password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	k.ControlKey(int16(kmsg.SASLHandshake), func(request kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		refusal := request.ResponseKind().(*kmsg.SASLHandshakeResponse)
		refusal.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		return refusal, nil, true
	})
	_, err = Inspect(t.Context(), Config{
		Brokers: k.ListenAddrs(), Topic: topic, Security: Security{Mechanism: "SCRAM-SHA-512", Username: user, Password: password},
	})
	if err == nil || !strings.Contains(err.Error(), "KAFKA_SASL_MECHANISM") {
		t.Errorf("Inspect: %v, want it to name KAFKA_SASL_MECHANISM", err)
	}
}

// TestDeniedReadIsReported: sarama retries a refused fetch for ever, and the member
// stays in its group.
func TestDeniedReadIsReported(t *testing.T) {
	var log lockedBuffer
	c := NewConsumer(Config{Topic: topic}, nil, nil, nil, slog.New(slog.NewTextHandler(&log, nil)))
	c.joined.Store(true)
	for range 3 {
		c.handleClientError(t.Context(), &sarama.ConsumerError{Topic: topic, Err: sarama.ErrTopicAuthorizationFailed})
	}
	if n := strings.Count(log.String(), "READ the topic"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, log.String())
	}
	if err := c.Status(); !errors.Is(err, errDenied) {
		t.Errorf("Status() = %v, want %v", err, errDenied)
	}
	c.denied.clear()
	if err := c.Status(); err != nil {
		t.Errorf("Status() = %v after a record was read", err)
	}
}
