package api

import (
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

// TestAbsentTopicHasUnknownLag: total_lag is null, not 0.
func TestAbsentTopicHasUnknownLag(t *testing.T) {
	s := newStack(t, 0)
	const line = "GET /api/v1/consumer"
	s.want(200, `.*"group_state":"Stable","members":1,"total_lag":0,"partitions":\[.+\],"breaker".*`, line, "")
	admin, err := sarama.NewClusterAdmin([]string{s.kafka.Addr()}, nil)
	s.must(err)
	defer func() { s.check(admin.Close()) }()
	s.must(admin.DeleteTopic(topic))
	s.eventually("the answer of the last second has expired", func() bool {
		_, answer := s.call(line, "")
		return strings.Contains(answer, "kafka_error")
	})
	s.want(200, `.*"kafka_error":"the topic does not exist: order\.status\.changed: .*; create it, .*"total_lag":null,"partitions":\[\],.*`, line, "")
}
