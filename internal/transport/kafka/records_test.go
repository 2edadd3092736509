package kafka

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// TestTimesOfRecords: any time that a producer can write is one that JSON can express.
func TestTimesOfRecords(t *testing.T) {
	for _, ms := range []int64{math.MinInt64, math.MinInt64 / 2, -1, 0, 253402300800000, math.MaxInt64} {
		r := topicRecord(&sarama.ConsumerMessage{Timestamp: time.UnixMilli(ms)}, 0)
		if _, err := json.Marshal(r.At.UTC()); err != nil {
			t.Errorf("%d: %v", ms, err)
		}
	}
}
