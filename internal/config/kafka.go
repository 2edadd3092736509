package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// Secret is a setting that no log and no message may show.
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

// What KAFKA_SASL_MECHANISM may be besides empty.
const (
	SASLPlain       = "PLAIN"
	SASLScramSHA256 = "SCRAM-SHA-256"
	SASLScramSHA512 = "SCRAM-SHA-512"
)

func (c Config) checkBrokers() error {
	if len(c.KafkaBrokers) == 0 {
		return errors.New("KAFKA_BROKERS is not set: want host:port, several separated by commas")
	}
	for _, b := range c.KafkaBrokers {
		if !dialable(b) {
			return fmt.Errorf("KAFKA_BROKERS %q: want host:port with a port from 1 to 65535, several separated by commas", b)
		}
	}
	return nil
}

// checkKafkaTLS reads the files too: a wrong path is told at the start, with
// whatever else is wrong, and not when a broker is first asked.
func (c Config) checkKafkaTLS() error {
	if !c.KafkaTLS {
		if c.KafkaTLSCAFile+c.KafkaTLSCertFile+c.KafkaTLSKeyFile != "" {
			return errors.New("KAFKA_TLS_CA_FILE, KAFKA_TLS_CERT_FILE or KAFKA_TLS_KEY_FILE is set, but KAFKA_TLS is not: set KAFKA_TLS=true")
		}
		return nil
	}
	return errors.Join(c.checkCAFile(), c.checkClientCertificate())
}

func (c Config) checkCAFile() error {
	if c.KafkaTLSCAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(c.KafkaTLSCAFile)
	switch {
	case err != nil:
		return fmt.Errorf("KAFKA_TLS_CA_FILE: %w", err)
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		return fmt.Errorf("KAFKA_TLS_CA_FILE %s: no certificate in it: want PEM, -----BEGIN CERTIFICATE-----", c.KafkaTLSCAFile)
	}
	return nil
}

func (c Config) checkClientCertificate() error {
	if c.KafkaTLSCertFile == "" && c.KafkaTLSKeyFile == "" {
		return nil
	}
	if c.KafkaTLSCertFile == "" || c.KafkaTLSKeyFile == "" {
		return errors.New("KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: set both, or neither")
	}
	if _, err := tls.LoadX509KeyPair(c.KafkaTLSCertFile, c.KafkaTLSKeyFile); err != nil {
		return fmt.Errorf("KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: want a certificate and its unencrypted key in PEM: %w", err)
	}
	return nil
}

// checkSASL refuses PLAIN without TLS, since it sends the password as it is.
func (c Config) checkSASL() error {
	switch c.KafkaSASLMechanism {
	case "":
		if c.KafkaSASLUsername+string(c.KafkaSASLPassword)+c.KafkaSASLPasswordFile != "" {
			return errors.New("KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE is set, but KAFKA_SASL_MECHANISM is not")
		}
		return nil
	case SASLPlain, SASLScramSHA256, SASLScramSHA512:
	default:
		return fmt.Errorf("KAFKA_SASL_MECHANISM %q: want %s, %s, %s, or nothing", c.KafkaSASLMechanism, SASLPlain, SASLScramSHA256, SASLScramSHA512)
	}
	return errors.Join(c.checkUsername(), c.checkPassword(), c.checkPlain())
}

func (c Config) checkUsername() error {
	if c.KafkaSASLUsername == "" {
		return fmt.Errorf("KAFKA_SASL_USERNAME is not set, but KAFKA_SASL_MECHANISM is %s", c.KafkaSASLMechanism)
	}
	return nil
}

func (c Config) checkPassword() error {
	if (c.KafkaSASLPassword == "") == (c.KafkaSASLPasswordFile == "") {
		return errors.New("KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE: set one of them")
	}
	if c.KafkaSASLPasswordFile == "" {
		return nil
	}
	content, err := os.ReadFile(c.KafkaSASLPasswordFile)
	switch {
	case err != nil:
		return fmt.Errorf("KAFKA_SASL_PASSWORD_FILE: %w", err)
	case len(bytes.TrimSpace(content)) == 0:
		return fmt.Errorf("KAFKA_SASL_PASSWORD_FILE %s: it is empty", c.KafkaSASLPasswordFile)
	}
	return nil
}

func (c Config) checkPlain() error {
	if c.KafkaSASLMechanism == SASLPlain && !c.KafkaTLS && !c.KafkaSASLPlainWithoutTLS {
		return errors.New("KAFKA_SASL_MECHANISM PLAIN would send the password readable: set KAFKA_TLS=true or use SCRAM-SHA-512; " +
			"KAFKA_SASL_PLAIN_WITHOUT_TLS=true allows it where the network keeps strangers out")
	}
	return nil
}
