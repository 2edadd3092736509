package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"service-courier/internal/outage"
)

// TestSlowKafkaHasAFix: a broker that is busy or starts is not to be started.
func TestSlowKafkaHasAFix(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, c := range map[string]struct {
		err        error
		cause, fix string
	}{
		"the group is loading": {explain(fmt.Errorf("group g: %w", sarama.ErrOffsetsLoadInProgress)), "the coordinator of the consumer group is not available", "wait a minute while Kafka starts"},
		"no usable broker":     {explain(sarama.ErrOutOfBrokers), "no broker can be used", "check again in a few seconds"},
		"no answer in time":    {explainTimeout(ended, sarama.ErrOutOfBrokers), "Kafka does not answer in time", "check the load and the log of the brokers"},
	} {
		if f, ok := errors.AsType[outage.Fixable](c.err); !ok || f.Cause != c.cause || !strings.Contains(f.Fix, c.fix) {
			t.Errorf("%s: %v, want %q and %q", what, c.err, c.cause, c.fix)
		}
	}
}

// TestDown: brokers that are not reached are one outage for consumer and outbox; what one
// of them is refused is its own.
func TestDown(t *testing.T) {
	t.Parallel()
	_, refused := Inspect(t.Context(), Config{Brokers: []string{"127.0.0.1:1"}, Topic: topic, GroupID: "g"})
	for what, c := range map[string]struct {
		err  error
		down bool
	}{
		"refused connection": {refused, true},
		"ended connection":   {explain(fmt.Errorf("publish: %w", io.EOF)), true},
		"wrong listener":     {outage.Fixable{Cause: noTLS.text, Err: io.EOF, Fix: noTLS.fix}, false},
		"right":              {explain(sarama.ErrTopicAuthorizationFailed), false},
		"topic":              {explainEvents(sarama.ErrUnknownTopicOrPartition, topic), false},
		"coordinator":        {explain(sarama.ErrConsumerCoordinatorNotAvailable), false},
		"other":              {errors.New("other"), false},
		"request timed out":  {explain(fmt.Errorf("%w: %w", sarama.ErrOutOfBrokers, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded})), true},
		"no usable broker":   {explain(sarama.ErrOutOfBrokers), true},
		"no acknowledgement": {explainEvents(errNotAcknowledged, "WRITE"), true},
		"of PostgreSQL":      {outage.Fixable{Cause: "PostgreSQL does not answer", Err: &net.OpError{Op: "dial", Err: io.EOF}, Fix: "start it"}, false},
	} {
		if Down(c.err) != c.down {
			t.Errorf("%s: Down(%v) = %t", what, c.err, !c.down)
		}
	}
}
