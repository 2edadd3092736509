package kafka

import (
	"time"

	"github.com/IBM/sarama"
)

// Config of the clients.
type Config struct {
	Brokers []string // host:port each
	Topic   string
	GroupID string

	Security Security
}

// sarama is the configuration of a client of these brokers.
func (c Config) sarama() (*sarama.Config, error) {
	conf := saramaConfig()
	return conf, c.Security.apply(conf)
}

// maxDecompressedBatch bounds what one compressed batch may become in memory.
// A batch above it stops every partition that is fetched with it for good, so it
// is far above any broker's message.max.bytes; Status tells of it.
const maxDecompressedBatch = 64 << 20

// The bound is sarama's one for the whole process: it is set before any client
// can read it.
func init() { sarama.MaxDecompressedBatchSize = maxDecompressedBatch }

// saramaConfig departs from sarama's defaults where they lose data or time.
func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "service-courier"
	c.Version = sarama.V3_6_0_0
	c.Metadata.AllowAutoTopicCreation = false // a mistyped topic must not come into being
	c.Metadata.Retry.Max = 1                  // Run tries on; failing fast tells sooner
	c.Net.DialTimeout = 3 * time.Second
	c.ChannelBufferSize = 2 * maxRecords // so that a batch can be as large as it may
	c.Consumer.Interceptors = []sarama.ConsumerInterceptor{received{}}
	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest // newest would lose what a new group has not seen
	c.Consumer.Offsets.AutoCommit.Interval = time.Second
	// Some thousand events a partition: what is fetched ahead of the batch in hand
	// only takes memory. A larger batch of records comes whole all the same.
	c.Consumer.Fetch.Default = 256 << 10
	c.Consumer.MaxWaitTime = 100 * time.Millisecond // a commit waits behind the long poll
	c.Consumer.MaxProcessingTime = time.Second
	c.Consumer.Retry.Backoff = 250 * time.Millisecond
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	// How long the partitions of a killed replica wait for another; no less than
	// brokers allow by default.
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 2 * time.Second
	// When a revoked partition is not given up by then, the session ends with all of them.
	c.Consumer.Group.Rebalance.Timeout = 15 * time.Second
	c.Consumer.Group.Rebalance.Retry.Backoff = 500 * time.Millisecond
	return c
}

// received notes in a record when it came, before it waits in its channel: in
// the field for the time of its compressed batch, which nobody reads here.
type received struct{}

// OnConsume implements sarama.ConsumerInterceptor.
func (received) OnConsume(r *sarama.ConsumerMessage) { r.BlockTimestamp = time.Now() }
