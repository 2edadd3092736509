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

// Security is the encryption and authentication of the connections. The zero value
// uses neither. The files are read for each new client, the client certificate for
// each connection, so that they can be renewed.
type Security struct {
	TLS               bool
	CAFile            string // PEM; empty: the authorities of the system
	CertFile, KeyFile string // PEM; empty: no client certificate

	Mechanism    string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; empty: no SASL
	Username     string
	Password     string
	PasswordFile string // instead of Password
}

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
	// sarama adds the broker's name, which is then verified.
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return outage.Fixable{Err: err, Fix: "correct KAFKA_TLS_CA_FILE"}
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

// clientCertificate is called in each handshake that requests a certificate.
func (s Security) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
	if err != nil {
		return nil, outage.Fixable{Err: err, Fix: "correct KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE"}
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
		return fmt.Errorf("unknown SASL mechanism %s", s.Mechanism)
	}
	password := s.Password
	if s.PasswordFile != "" {
		content, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return outage.Fixable{Err: err, Fix: "correct KAFKA_SASL_PASSWORD_FILE"}
		}
		password = string(bytes.TrimRight(bytes.TrimPrefix(content, []byte("\uFEFF")), "\r\n")) // as editors on Windows save it
	}
	sasl.Enable, sasl.Mechanism, sasl.User, sasl.Password = true, sarama.SASLMechanism(s.Mechanism), s.Username, password
	return nil
}

// scramClient is one SCRAM conversation with a broker.
type scramClient struct {
	hash         scram.HashGeneratorFcn
	conversation *scram.ClientConversation
}

var _ sarama.SCRAMClient = (*scramClient)(nil)

// newSCRAM returns a constructor that sarama calls for each connection.
func newSCRAM(hash scram.HashGeneratorFcn) func() sarama.SCRAMClient {
	return func() sarama.SCRAMClient { return &scramClient{hash: hash} }
}

// Begin implements sarama.SCRAMClient.
func (s *scramClient) Begin(user, password, authzID string) error {
	client, err := s.hash.NewClient(user, password, authzID)
	if err != nil {
		return err
	}
	s.conversation = client.NewConversation()
	return nil
}

// Step implements sarama.SCRAMClient.
func (s *scramClient) Step(challenge string) (response string, err error) {
	return s.conversation.Step(challenge)
}

// Done implements sarama.SCRAMClient.
func (s *scramClient) Done() bool { return s.conversation.Done() }
