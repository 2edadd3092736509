package kafka

import (
	"errors"
	"io"

	"github.com/IBM/sarama"

	"service-courier/internal/outage"
)

// mends says of what brokers refuse how to mend it.
var mends = []struct {
	refusal sarama.KError
	mend    string
}{
	{sarama.ErrSASLAuthenticationFailed, "correct KAFKA_SASL_USERNAME and its password, or that user on the brokers"},
	{sarama.ErrTopicAuthorizationFailed, "allow this user to READ the topic of KAFKA_ORDER_TOPIC, and for a redrive to WRITE it"},
	{sarama.ErrGroupAuthorizationFailed, "allow this user to READ the group of KAFKA_GROUP_ID"},
	{sarama.ErrClusterAuthorizationFailed, "see the brokers' log: this user is not allowed what was asked of the cluster"},
	{sarama.ErrUnknownTopicOrPartition, "create the topic, or correct KAFKA_ORDER_TOPIC"},
	{sarama.ErrMessageSizeTooLarge, "raise the topic's max.message.bytes, or edit or drop the letter"},
	{sarama.ErrInvalidRecord, "edit or drop the letter: the topic takes no such record"},
	{sarama.ErrNotEnoughReplicas, "start the missing brokers: too few replicas are in sync"},
	{sarama.ErrNotEnoughReplicasAfterAppend, "start the missing brokers: too few replicas are in sync"},
}

// explain says how to mend what brokers refuse, and what keeps a client from
// talking to them at all.
func explain(err error) error {
	if _, done := errors.AsType[outage.Mendable](err); done || err == nil {
		return err
	}
	for _, m := range mends {
		if errors.Is(err, m.refusal) {
			return outage.Mendable{Err: err, Mend: m.mend}
		}
	}
	if mend := outage.MendTLS(err, tlsSettings); mend != "" {
		return outage.Mendable{Err: err, Mend: mend}
	}
	if errors.Is(err, sarama.ErrOutOfBrokers) && errors.Unwrap(err) == nil { // sarama keeps the reason to itself
		return outage.Mendable{Err: err, Mend: "see that the brokers run and offer the mechanism of KAFKA_SASL_MECHANISM, and what their log says"}
	}
	if errors.Is(err, io.EOF) {
		return outage.Mendable{Err: err, Mend: "see what this listener wants, for the broker hung up: KAFKA_TLS, KAFKA_SASL_MECHANISM"}
	}
	return err
}

var tlsSettings = outage.TLS{
	Switch: "KAFKA_TLS", Address: "KAFKA_BROKERS", Authority: "KAFKA_TLS_CA_FILE",
	Certificate: "KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE",
}
