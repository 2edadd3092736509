// Package devkafka runs an embedded Kafka broker inside the process, for
// `service-courier dev` and for tests. It listens on 127.0.0.1 only.
package devkafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/dev"
)

const (
	// DefaultPort of the broker on 127.0.0.1.
	DefaultPort = 19092

	// AnyPort takes a free port.
	AnyPort = -1

	defaultPartitions     = 6
	defaultRetentionBytes = 64 << 20
	segmentBytes          = 8 << 20 // retention removes whole segments

	// retentionInterval: kfake applies retention by itself only to topics with
	// their own settings.
	retentionInterval = 10 * time.Second
)

// Config of a broker. The zero value is a broker in memory on the default port.
type Config struct {
	// Port on 127.0.0.1. 0 is DefaultPort, or a free port if that is taken;
	// AnyPort is a free port; any other port that is taken is an error.
	Port int

	// DataDir keeps topics, records and committed offsets between runs, also
	// after a kill -9; a crash of the machine may lose the last ones. It is
	// created when missing. Empty keeps everything in memory until Stop.
	DataDir string

	// Topics to create, with their number of partitions; 0 means 6. Existing
	// topics keep their partitions.
	Topics map[string]int

	// RetentionBytes per partition: the oldest records above it are removed.
	// The default is 64 MiB; -1 keeps everything.
	RetentionBytes int64

	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.RetentionBytes == 0 {
		c.RetentionBytes = defaultRetentionBytes
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) validate() error {
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

// brokerConfigs set retention by size only. Retention by time could empty a
// partition, and a broker that is killed after that would number its records
// from 0 again, below the offsets that groups have committed.
func (c Config) brokerConfigs() map[string]string {
	return map[string]string{
		"log.retention.ms":    "-1",
		"log.retention.bytes": strconv.FormatInt(c.RetentionBytes, 10),
		"log.segment.bytes":   strconv.Itoa(segmentBytes),
	}
}

// Broker is a running broker. Its methods may be called concurrently.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	lock    *dev.FileLock // nil without a data directory

	stopOnce sync.Once
	stopping chan struct{}
	stopped  chan struct{}
}

// Start returns once the broker answers and has its topics. ctx bounds the
// start, not the life of the broker.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	b := &Broker{stopping: make(chan struct{}), stopped: make(chan struct{})}
	if err := b.open(ctx, cfg); err != nil {
		return nil, err
	}
	go b.run()
	if err := ensureTopics(ctx, b.addr, cfg.Topics); err != nil {
		return nil, errors.Join(err, b.Stop(ctx))
	}
	cfg.Logger.InfoContext(ctx, "Kafka started", slog.String("address", b.addr), slog.String("directory", cfg.DataDir))
	return b, nil
}

func (b *Broker) open(ctx context.Context, cfg Config) (err error) {
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) {
			listener, err := listen(ctx, cfg.Port)
			if err != nil {
				return nil, err
			}
			return framedListener{listener, cfg.Logger}, nil
		}),
		kfake.ClusterID("service-courier-dev"),
		kfake.BrokerConfigs(cfg.brokerConfigs()),
		kfake.WithLogger(kfakeLog{cfg.Logger}),
	}
	if cfg.DataDir != "" {
		if b.lock, err = lockDir(cfg.DataDir); err != nil {
			return dev.DirError(cfg.DataDir, err)
		}
		options = append(options, kfake.DataDir(cfg.DataDir))
	}
	if b.cluster, err = kfake.NewCluster(options...); err != nil {
		b.unlock()
		return fmt.Errorf("start the Kafka broker: %w", err)
	}
	b.addr = b.cluster.ListenAddrs()[0]
	return nil
}

func lockDir(dir string) (*dev.FileLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return dev.TryLock(filepath.Join(dir, "lock"))
}

// listen binds the port of kfake, which advertises the address it listens on: there is
// no gap between choosing a port and binding it.
func listen(ctx context.Context, port int) (net.Listener, error) {
	switch port {
	case AnyPort:
		return dev.Listen(ctx, 0)
	case 0:
		listener, err := dev.Listen(ctx, DefaultPort)
		if errors.Is(err, dev.ErrPortTaken) {
			return dev.Listen(ctx, 0)
		}
		return listener, err
	default:
		return dev.Listen(ctx, port)
	}
}

// Addr of the broker, such as "127.0.0.1:19092".
func (b *Broker) Addr() string { return b.addr }

// Cluster gives tests access to kfake, to make requests fail (ControlKey). Its
// methods may block for ever after Stop.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// Stop closes the broker and its connections and writes its data. Further calls
// wait for the first. It fails only when ctx ends before that.
func (b *Broker) Stop(ctx context.Context) error {
	b.stopOnce.Do(func() { close(b.stopping) })
	select {
	case <-b.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the Kafka broker is still stopping: %w", context.Cause(ctx))
	}
}

// run applies retention until Stop, then closes the broker. One goroutine does
// both, since ApplyRetention on a closed broker would block for ever.
func (b *Broker) run() {
	defer close(b.stopped)
	ticker := time.NewTicker(retentionInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.cluster.ApplyRetention()
		case <-b.stopping:
			b.cluster.Close()
			b.unlock()
			return
		}
	}
}

func (b *Broker) unlock() {
	if b.lock != nil {
		b.lock.Release()
	}
}

// ensureTopics creates topics as any client would: kfake creates its own only
// in an empty directory, so a topic configured later would be missing.
func ensureTopics(ctx context.Context, addr string, topics map[string]int) error {
	if len(topics) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer client.Close()
	response, err := createTopics(topics).RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for _, topic := range response.Topics {
		err := kerr.ErrorForCode(topic.ErrorCode)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", topic.Topic, err)
		}
	}
	return nil
}

func createTopics(topics map[string]int) *kmsg.CreateTopicsRequest {
	request := kmsg.NewPtrCreateTopicsRequest()
	for name, partitions := range topics {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic = name
		topic.ReplicationFactor = 1
		topic.NumPartitions = int32(partitions)
		if partitions == 0 {
			topic.NumPartitions = defaultPartitions
		}
		request.Topics = append(request.Topics, topic)
	}
	return request
}

// kfakeLog writes the log of kfake to slog. Level info of kfake logs each
// request, so it becomes debug.
type kfakeLog struct{ to *slog.Logger }

func (l kfakeLog) Logf(level kfake.LogLevel, format string, args ...any) {
	slogLevel := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		slogLevel = slog.LevelError
	case kfake.LogLevelWarn:
		slogLevel = slog.LevelWarn
	case kfake.LogLevelNone, kfake.LogLevelInfo, kfake.LogLevelDebug:
	}
	ctx := context.Background()
	if l.to.Enabled(ctx, slogLevel) {
		l.to.Log(ctx, slogLevel, "kfake", slog.String("text", fmt.Sprintf(format, args...)))
	}
}
