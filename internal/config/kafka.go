package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Values of KAFKA_SASL_MECHANISM.
const (
	SASLPlain       = "PLAIN"
	SASLScramSHA256 = "SCRAM-SHA-256"
	SASLScramSHA512 = "SCRAM-SHA-512"
)

// CheckKafka returns an error if the settings lead to no connection, or to one of another kind.
func (c Config) CheckKafka() error {
	return errors.Join(c.parsed("KAFKA_TLS", "KAFKA_SASL_PLAIN_WITHOUT_TLS"), c.checkBrokers(), c.checkKafkaTLS(), c.checkSASL())
}

func (c Config) checkBrokers() error {
	if len(c.KafkaBrokers) == 0 {
		return errors.New("KAFKA_BROKERS is not set: want host:port, several separated by commas")
	}
	for _, b := range c.KafkaBrokers {
		if !isDialAddress(b) {
			return fmt.Errorf("KAFKA_BROKERS %s: want host:port with a port from 1 to 65535, several separated by commas", maskAddress(b))
		}
	}
	return nil
}

// checkTopics: the service would read its own events as those of service-order, and other
// readers of that topic would too.
func (c Config) checkTopics() error {
	if c.KafkaAssignmentTopic != "" && c.KafkaAssignmentTopic == c.KafkaTopic {
		return fmt.Errorf("KAFKA_ASSIGNMENT_TOPIC %q is KAFKA_ORDER_TOPIC too: name another topic", c.KafkaAssignmentTopic)
	}
	return nil
}

// checkKafkaTLS reads the files too, so that a wrong path fails the start and not
// the first connection.
func (c Config) checkKafkaTLS() error {
	if !c.KafkaTLS {
		if c.KafkaTLSCAFile+c.KafkaTLSCertFile+c.KafkaTLSKeyFile != "" {
			return errors.New("KAFKA_TLS_CA_FILE, KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE have no effect without TLS: set KAFKA_TLS=true, or unset them")
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
		return fmt.Errorf("KAFKA_TLS_CA_FILE %s: contains no certificate: want PEM, -----BEGIN CERTIFICATE-----", c.KafkaTLSCAFile)
	}
	return nil
}

func (c Config) checkClientCertificate() error {
	if c.KafkaTLSCertFile == "" && c.KafkaTLSKeyFile == "" {
		return nil
	}
	if c.KafkaTLSCertFile == "" || c.KafkaTLSKeyFile == "" {
		return errors.New("KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: set both or neither")
	}
	if _, err := tls.LoadX509KeyPair(c.KafkaTLSCertFile, c.KafkaTLSKeyFile); err != nil {
		return fmt.Errorf("KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: want a certificate and its unencrypted key in PEM: %w", err)
	}
	return nil
}

func (c Config) checkSASL() error {
	switch c.KafkaSASLMechanism {
	case "":
		if c.KafkaSASLUsername+string(c.KafkaSASLPassword)+c.KafkaSASLPasswordFile != "" {
			return errors.New("KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE have no effect without SASL: set KAFKA_SASL_MECHANISM, or unset them")
		}
		return nil
	case SASLPlain, SASLScramSHA256, SASLScramSHA512:
	default:
		return fmt.Errorf("KAFKA_SASL_MECHANISM %q: want %s, %s, %s, or empty", c.KafkaSASLMechanism, SASLPlain, SASLScramSHA256, SASLScramSHA512)
	}
	var username error
	if c.KafkaSASLUsername == "" {
		username = fmt.Errorf("KAFKA_SASL_USERNAME is not set, but KAFKA_SASL_MECHANISM is %s: set both or neither", c.KafkaSASLMechanism)
	}
	return errors.Join(username, c.checkPassword(), c.checkPlain())
}

func (c Config) checkPassword() error {
	if (c.KafkaSASLPassword == "") == (c.KafkaSASLPasswordFile == "") {
		return errors.New("KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE: set exactly one of them")
	}
	if c.KafkaSASLPasswordFile == "" {
		return nil
	}
	content, err := os.ReadFile(c.KafkaSASLPasswordFile)
	switch {
	case err != nil:
		return fmt.Errorf("KAFKA_SASL_PASSWORD_FILE: %w", err)
	case len(bytes.TrimSpace(content)) == 0:
		return fmt.Errorf("KAFKA_SASL_PASSWORD_FILE %s: the file is empty", c.KafkaSASLPasswordFile)
	}
	return nil
}

// checkPlain: PLAIN without TLS sends the password unencrypted.
func (c Config) checkPlain() error {
	if c.KafkaSASLMechanism == SASLPlain && !c.KafkaTLS && !c.KafkaSASLPlainWithoutTLS {
		return errors.New("KAFKA_SASL_MECHANISM PLAIN without TLS sends the password unencrypted: set KAFKA_TLS=true or use SCRAM-SHA-512; " +
			"in a protected network KAFKA_SASL_PLAIN_WITHOUT_TLS=true allows it")
	}
	return nil
}
