package devstack

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
)

// DefaultKafkaPort is where outside tools look for the embedded broker.
const DefaultKafkaPort = 19092

// AnyPort asks for a free port instead of a default one.
const AnyPort = -1

const (
	defaultPartitions     = 6
	defaultRetentionBytes = 64 << 20
	segmentBytes          = 8 << 20 // what retention removes at a time
)

// KafkaConfig says where and how the broker runs. Its zero value is a broker in
// memory on the default port.
type KafkaConfig struct {
	// Port on 127.0.0.1. 0 is DefaultKafkaPort or, where that is taken, a free
	// one; AnyPort a free one; any other port that is taken is an error.
	Port int

	// DataDir keeps topics, records and committed offsets between runs, also
	// when the process is killed; the last ones may be lost when the machine
	// fails. It is created when missing. Empty: all is in memory and gone with
	// Stop.
	DataDir string

	// Topics to have, with their number of partitions; 0 means 6. A topic that
	// the directory holds already keeps its partitions.
	Topics map[string]int

	// RetentionBytes a partition, after which the oldest records go. It
	// defaults to 64 MiB; -1 keeps everything.
	RetentionBytes int64

	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

func (c KafkaConfig) withDefaults() KafkaConfig {
	if c.RetentionBytes == 0 {
		c.RetentionBytes = defaultRetentionBytes
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c KafkaConfig) validate() error {
	var bad []error
	if c.Port < AnyPort || c.Port > 65535 {
		bad = append(bad, fmt.Errorf("port %d of Kafka: want 1 to 65535, 0 or AnyPort", c.Port))
	}
	for topic, partitions := range c.Topics {
		if topic == "" || partitions < 0 {
			bad = append(bad, fmt.Errorf("topic %q with %d partitions", topic, partitions))
		}
	}
	return errors.Join(bad...)
}

// brokerConfigs bound what a long run keeps, by size alone: retention by time
// could empty a partition, and a broker killed after that would count its
// offsets from 0 again, below those that groups have committed.
func (c KafkaConfig) brokerConfigs() map[string]string {
	return map[string]string{
		"log.retention.ms":    "-1",
		"log.retention.bytes": strconv.FormatInt(c.RetentionBytes, 10),
		"log.segment.bytes":   strconv.Itoa(segmentBytes),
	}
}
