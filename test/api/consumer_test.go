package api

import (
	"testing"

	"github.com/IBM/sarama"
)

// TestAbsentTopicHasNoLag: none that is known, which is not none.
func TestAbsentTopicHasNoLag(t *testing.T) {
	s := newStack(t, 0)
	const line = "GET /api/v1/consumer"
	s.want(200, `.*"group_state":"Stable","members":1,"total_lag":0,"partitions":\[.+\],"breaker".*`, line, "")
	admin, err := sarama.NewClusterAdmin([]string{s.kafka.Addr()}, nil)
	s.must(err)
	defer func() { s.check(admin.Close()) }()
	s.must(admin.DeleteTopic(topic))
	s.want(200, `.*"kafka_error":"order\.status\.changed does not exist; create it, .*"total_lag":null,"partitions":\[\],.*`, line, "")
}
