package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/outage"
)

// Config of the clients.
type Config struct {
	Brokers []string // host:port
	Topic   string
	GroupID string

	Security Security

	metadataRefresh time.Duration // of tests; 0: that of saramaConfig
}

func (c Config) sarama() (*sarama.Config, error) {
	conf := saramaConfig()
	if c.metadataRefresh > 0 {
		conf.Metadata.RefreshFrequency = c.metadataRefresh
	}
	return conf, c.Security.apply(conf)
}

// maxDecompressedBatch bounds one compressed batch.
const maxDecompressedBatch = 64 << 20

// sarama has one limit for the process; it must be set before any client reads it.
func init() { sarama.MaxDecompressedBatchSize = maxDecompressedBatch }

// saramaConfig replaces the defaults of sarama that lose data or time.
func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "service-courier"
	c.Version = sarama.V3_6_0_0
	c.Metadata.AllowAutoTopicCreation = false // a mistyped topic must not be created
	c.Metadata.Retry.Max = 1                  // Run retries, and reports sooner
	// Added partitions are noticed after at most twice this time.
	c.Metadata.RefreshFrequency = 20 * time.Second
	c.Net.ReadTimeout = 20 * time.Second // longer than a rebalance
	c.Net.DialTimeout = 3 * time.Second
	c.ChannelBufferSize = 2 * maxRecords // room for a full batch
	c.Consumer.Interceptors = []sarama.ConsumerInterceptor{receiveTime{}}
	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest // the newest would lose the records before a new group joined
	c.Consumer.Offsets.AutoCommit.Interval = time.Second
	// Some thousand events per partition: more would only take memory. A larger
	// compressed batch is still fetched whole.
	c.Consumer.Fetch.Default = 256 << 10
	c.Consumer.MaxWaitTime = 100 * time.Millisecond // a commit waits for the long poll
	c.Consumer.MaxProcessingTime = time.Second
	c.Consumer.Retry.Backoff = 250 * time.Millisecond
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	// The partitions of a killed replica wait this long; brokers allow no less by default.
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 2 * time.Second
	// A revoked partition that is not released by then ends the session of all.
	c.Consumer.Group.Rebalance.Timeout = 15 * time.Second
	c.Consumer.Group.Rebalance.Retry.Backoff = 500 * time.Millisecond
	return c
}

// protocol is how the members of the group divide the partitions.
const protocol = sarama.CooperativeStickyBalanceStrategyName

// receiveTime stores when a record was received, before it waits in its channel. It
// uses the field for the time of a compressed batch, which is not read here.
type receiveTime struct{}

// OnConsume implements sarama.ConsumerInterceptor.
func (receiveTime) OnConsume(r *sarama.ConsumerMessage) { r.BlockTimestamp = time.Now() }

// withoutRetries is for commands, which fail at the first error.
func withoutRetries(ctx context.Context, c *sarama.Config, brokers []string) *sarama.Config {
	c.Metadata.Retry.Max = 0
	c.Admin.Retry.Max = 0
	bindConnections(ctx, c, brokers)
	return c
}

// bindConnections closes the connections of a client when ctx ends. sarama's calls
// take no context, and its Close waits for them. brokers are those of the configuration.
func bindConnections(ctx context.Context, c *sarama.Config, brokers []string) {
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, dialer{ctx: ctx, timeout: c.Net.DialTimeout, brokers: brokers}
}

// bindFetches is bindConnections for a client that fetches records: it checks them.
func bindFetches(ctx context.Context, c *sarama.Config, brokers []string, r *recording, heard *answers) {
	d := dialer{ctx: ctx, timeout: c.Net.DialTimeout, brokers: brokers, recording: r, checked: true, heard: heard}
	if c.Net.TLS.Enable { // below the check
		d.tls, c.Net.TLS.Enable = c.Net.TLS.Config, false
	}
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, d
}

type dialer struct {
	ctx     context.Context
	timeout time.Duration // of one connection
	brokers []string      // of the configuration; any other address is one that they advertise

	tls       *tls.Config // nil: sarama encrypts, if anything does
	recording *recording  // nil: none
	checked   bool        // answers to fetches
	heard     *answers    // nil: not noted; needs checked
}

// Dial implements proxy.Dialer.
func (d dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout}).DialContext(d.ctx, network, addr)
	if err != nil && d.ctx.Err() == nil {
		err = explainDial(err, addr, !slices.Contains(d.brokers, addr))
	}
	if err != nil {
		return nil, err
	}
	var bound net.Conn = &boundConn{conn, context.AfterFunc(d.ctx, func() { _ = conn.Close() })}
	if d.tls != nil {
		ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
		defer cancel()
		encrypted, err := startTLS(ctx, bound, addr, d.tls)
		if err != nil {
			return nil, errors.Join(err, bound.Close())
		}
		bound = encrypted
	}
	if d.recording != nil {
		bound = recordedConn{bound, d.recording}
	}
	if d.checked {
		bound = &checkedConn{Conn: bound, heard: d.heard}
	}
	return bound, nil
}

type boundConn struct {
	net.Conn
	stop func() bool
}

// Close implements net.Conn.
func (c *boundConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// explainTimeout returns the end of ctx if that is the cause, else explain.
func explainTimeout(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return outage.Fixable{Cause: slow.text, Err: ctx.Err(), Fix: slow.fix}
	}
	return explain(err)
}
