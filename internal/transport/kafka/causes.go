package kafka

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/IBM/sarama"

	"service-courier/internal/outage"
)

// cause is what is wrong and how to fix it; neither names a host or a user.
type cause struct{ text, fix string }

const fixTopic = "create it, or correct KAFKA_ORDER_TOPIC; the service does not create topics"

// causes of the errors that brokers return.
var causes = map[sarama.KError]cause{
	sarama.ErrSASLAuthenticationFailed:        {"Kafka refuses the user or the password", "correct KAFKA_SASL_USERNAME and its password, or that user on the brokers"},
	sarama.ErrUnsupportedSASLMechanism:        {"Kafka does not offer this SASL mechanism", "correct KAFKA_SASL_MECHANISM, or enable it on the brokers"},
	sarama.ErrIllegalSASLState:                noSASL,
	sarama.ErrTopicAuthorizationFailed:        {"a right on the topic is missing", "allow this user to READ the topic of KAFKA_ORDER_TOPIC, and to WRITE it for a redrive"},
	sarama.ErrGroupAuthorizationFailed:        {"a right on the consumer group is missing", "allow this user to READ the group of KAFKA_GROUP_ID"},
	sarama.ErrClusterAuthorizationFailed:      {"a right on the cluster is missing", "see the log of the brokers for the operation that they refuse"},
	sarama.ErrUnknownTopicOrPartition:         {"the topic does not exist", fixTopic},
	sarama.ErrConsumerCoordinatorNotAvailable: noCoordinator,
	sarama.ErrNotCoordinatorForConsumer:       noCoordinator,
	sarama.ErrOffsetsLoadInProgress:           noCoordinator,
	sarama.ErrUnsupportedVersion:              {"this Kafka listener is a controller's, or Kafka is too old", "set a port for clients in KAFKA_BROKERS"},
	sarama.ErrInconsistentGroupProtocol:       {"the consumer group has members of another kind", "set another KAFKA_GROUP_ID, or stop those members, which 'service-courier doctor' lists"},
	sarama.ErrMessageSizeTooLarge:             {"the record is too large for the topic", "raise max.message.bytes of the topic, or edit or discard the dead letter"},
	sarama.ErrInvalidRecord:                   {"the topic does not accept the record", "edit or discard the dead letter"},
	sarama.ErrNotEnoughReplicas:               {"too few replicas are in sync", "start the missing brokers"},
	sarama.ErrNotEnoughReplicasAfterAppend:    {"too few replicas are in sync", "start the missing brokers"},
}

var noCoordinator = cause{"the coordinator of the consumer group is not available", "wait a minute while Kafka starts; then see the log of the brokers about the topic __consumer_offsets"}

// Causes that a broker does not state, see diagnose.
var (
	noSASL   = cause{"this Kafka listener uses no SASL", "unset KAFKA_SASL_MECHANISM, or set a listener with SASL in KAFKA_BROKERS"}
	noTLS    = cause{"this Kafka listener uses no TLS", "unset KAFKA_TLS, or set a TLS port in KAFKA_BROKERS"}
	isTLS    = cause{"this Kafka listener uses TLS", "set KAFKA_TLS=true, or a port without TLS in KAFKA_BROKERS"}
	silence  = cause{"no broker answers", "check that KAFKA_BROKERS are Kafka brokers, and their log"}
	slow     = cause{"Kafka does not answer in time", "check the load and the log of the brokers"}
	unusable = cause{"no broker can be used", "check again in a few seconds; then see the log of the brokers"}
	closed   = cause{"Kafka closed the connection", "check that KAFKA_BROKERS are Kafka brokers, KAFKA_TLS and KAFKA_SASL_MECHANISM; see the log of the brokers"}
)

var tlsSettings = outage.TLS{
	Switch: "KAFKA_TLS", Address: "KAFKA_BROKERS", Authority: "KAFKA_TLS_CA_FILE",
	Certificate: "KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE",
}

// explain adds cause and fix to an error of a broker or of the connection.
func explain(err error) error {
	if f, done := errors.AsType[outage.Fixable](err); done {
		if errors.Is(err, sarama.ErrOutOfBrokers) { // says no more than its cause
			return f
		}
		return err
	}
	c := causeOf(err)
	switch c {
	case cause{}:
		return err
	case closed, silence, unusable:
		err = downError{err}
	}
	return outage.Fixable{Cause: c.text, Err: err, Fix: c.fix}
}

func causeOf(err error) cause {
	for code, c := range causes {
		if errors.Is(err, code) {
			return c
		}
	}
	if fix := outage.TLSFix(err, tlsSettings); fix != "" {
		return cause{"the TLS connection to Kafka fails", fix}
	}
	switch {
	case isBroken(err):
		return closed
	case errors.Is(err, os.ErrDeadlineExceeded): // of sarama's requests: a connection without an answer
		return silence
	case errors.Is(err, sarama.ErrOutOfBrokers): // brokers that cannot be reached have a cause
		return unusable
	}
	return cause{}
}

// Down reports an error of this package that says that brokers are not reached, do not answer,
// or have just ended: an outage for everything that uses them.
func Down(err error) bool {
	_, down := errors.AsType[downError](err)
	return down
}

// downError marks the errors for Down: others, such as those of PostgreSQL, may look alike.
type downError struct{ error }

// Unwrap returns the underlying error.
func (e downError) Unwrap() error { return e.error }

// isBroken reports a connection that ended without an answer, or with one that is not
// Kafka's: a listener with other security, or another server.
func isBroken(err error) bool {
	_, undecodable := errors.AsType[sarama.PacketDecodingError](err)
	return undecodable || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// explainDial explains why there is no connection. Kafka advertises the addresses of its
// brokers, which need not be those of the configuration.
func explainDial(err error, addr string, advertised bool) error {
	_, unresolved := errors.AsType[*net.DNSError](err)
	var c cause
	switch {
	case advertised && unresolved:
		c = cause{"Kafka advertises an address that does not resolve here", "correct advertised.listeners of the brokers to names that resolve here"}
	case advertised:
		c = cause{"Kafka advertises an address that cannot be reached from here", "start that broker, or correct its advertised.listeners"}
	case unresolved:
		c = cause{"the host of a Kafka broker does not resolve", "correct KAFKA_BROKERS, or the entry in DNS"}
	case errors.Is(err, syscall.ECONNREFUSED):
		c = cause{"Kafka refuses connections", "start Kafka, or correct KAFKA_BROKERS"}
	default:
		c = cause{"Kafka cannot be reached", "check the network, and KAFKA_BROKERS"}
	}
	return outage.Fixable{Cause: c.text, Err: downError{fmt.Errorf("%s: %w", addr, err)}, Fix: c.fix}
}
