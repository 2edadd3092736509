package kafka

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"service-courier/internal/outage"
)

// Security is how clients talk to the brokers and say who they are. Its zero
// value talks in the clear, as nobody. The files are read whenever a client is
// made, and those of the certificate at every connection, so that they may be
// renewed meanwhile.
type Security struct {
	TLS               bool
	CAFile            string // PEM; empty: the system's authorities
	CertFile, KeyFile string // PEM; empty: no certificate of its own

	Mechanism    string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; empty: no SASL
	Username     string
	Password     string
	PasswordFile string // holds the password instead
}

// apply adds it to a client's configuration.
func (s Security) apply(c *sarama.Config) error {
	if err := s.applyTLS(c); err != nil {
		return err
	}
	return s.applySASL(c)
}

func (s Security) applyTLS(c *sarama.Config) error {
	if !s.TLS {
		return nil
	}
	// sarama adds the name of the broker, which is then verified.
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return outage.Mendable{Err: err, Mend: "correct KAFKA_TLS_CA_FILE"}
		}
		conf.RootCAs = x509.NewCertPool()
		conf.RootCAs.AppendCertsFromPEM(pem)
	}
	if s.CertFile != "" {
		conf.GetClientCertificate = s.clientCertificate
	}
	c.Net.TLS.Enable, c.Net.TLS.Config = true, conf
	return nil
}

// clientCertificate is called in each handshake in which the broker asks for one.
func (s Security) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
	if err != nil {
		return nil, outage.Mendable{Err: err, Mend: "correct KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE"}
	}
	return &pair, nil
}

func (s Security) applySASL(c *sarama.Config) error {
	sasl := &c.Net.SASL
	switch s.Mechanism {
	case "":
		return nil
	case sarama.SASLTypePlaintext:
	case sarama.SASLTypeSCRAMSHA256:
		sasl.SCRAMClientGeneratorFunc = newSCRAM(scram.SHA256)
	case sarama.SASLTypeSCRAMSHA512:
		sasl.SCRAMClientGeneratorFunc = newSCRAM(scram.SHA512)
	default:
		return fmt.Errorf("no such SASL mechanism: %s", s.Mechanism)
	}
	password := s.Password
	if s.PasswordFile != "" {
		content, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return outage.Mendable{Err: err, Mend: "correct KAFKA_SASL_PASSWORD_FILE"}
		}
		password = string(bytes.TrimRight(content, "\r\n"))
	}
	sasl.Enable, sasl.Mechanism, sasl.User, sasl.Password = true, sarama.SASLMechanism(s.Mechanism), s.Username, password
	return nil
}
