package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// retentionInterval is how often old records are looked for; kfake itself does
// so only for topics with settings of their own.
const retentionInterval = 10 * time.Second

// Kafka is a running broker. Its methods may be called concurrently.
type Kafka struct {
	cluster *kfake.Cluster
	addr    string
	lock    *fileLock // nil without a data directory

	stopOnce sync.Once
	halt     chan struct{} // ends the retention
	stopped  chan struct{} // all is closed
}

// StartKafka returns once the broker answers and has its topics. ctx bounds the
// start, not the broker's life.
func StartKafka(ctx context.Context, cfg KafkaConfig) (*Kafka, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	k := &Kafka{halt: make(chan struct{}), stopped: make(chan struct{})}
	if err := k.open(ctx, cfg); err != nil {
		return nil, err
	}
	go k.retain()
	if err := ensureTopics(ctx, k.addr, cfg.Topics); err != nil {
		return nil, errors.Join(err, k.Stop(ctx))
	}
	cfg.Logger.InfoContext(ctx, "Kafka is up", slog.String("address", k.addr), slog.String("directory", cfg.DataDir))
	return k, nil
}

func (k *Kafka) open(ctx context.Context, cfg KafkaConfig) (err error) {
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ListenFn(listenKafka(ctx, cfg.Port)),
		kfake.ClusterID("service-courier-dev"),
		kfake.BrokerConfigs(cfg.brokerConfigs()),
		kfake.WithLogger(kfakeLog{cfg.Logger}),
	}
	if cfg.DataDir != "" {
		if k.lock, err = lockKafkaDir(cfg.DataDir); err != nil {
			return err
		}
		options = append(options, kfake.DataDir(cfg.DataDir))
	}
	if k.cluster, err = kfake.NewCluster(options...); err != nil {
		k.unlock()
		return fmt.Errorf("start the Kafka broker: %w", err)
	}
	k.addr = k.cluster.ListenAddrs()[0]
	return nil
}

func lockKafkaDir(dir string) (*fileLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, explainDir(dir, err)
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, explainDir(dir, err)
	}
	return lock, nil
}

// listenKafka is handed to kfake, which advertises what it listens on: so there
// is no gap between choosing a port and having it.
func listenKafka(ctx context.Context, port int) func(network, address string) (net.Listener, error) {
	return func(string, string) (net.Listener, error) {
		switch port {
		case AnyPort:
			return listenLoopback(ctx, 0)
		case 0:
			listener, err := listenLoopback(ctx, DefaultKafkaPort)
			if errors.Is(err, errPortTaken) {
				return listenLoopback(ctx, 0)
			}
			return listener, err
		default:
			return listenLoopback(ctx, port)
		}
	}
}

// Addr is the broker as clients on this machine reach it, "127.0.0.1:19092".
func (k *Kafka) Addr() string { return k.addr }

// Cluster is the broker's inside, for tests that make requests fail (ControlKey).
// After Stop its methods may block for ever.
func (k *Kafka) Cluster() *kfake.Cluster { return k.cluster }

// Stop closes the broker and its connections and writes what is to be kept.
// Further calls wait for the first. It fails only when ctx ends before that.
func (k *Kafka) Stop(ctx context.Context) error {
	k.stopOnce.Do(func() {
		close(k.halt)
	})
	select {
	case <-k.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the Kafka broker is still stopping: %w", context.Cause(ctx))
	}
}

// retain removes old records until Stop, and then closes the broker: a closed
// one would never answer.
func (k *Kafka) retain() {
	defer close(k.stopped)
	ticker := time.NewTicker(retentionInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.cluster.ApplyRetention()
		case <-k.halt:
			k.cluster.Close()
			k.unlock()
			return
		}
	}
}

func (k *Kafka) unlock() {
	if k.lock != nil {
		k.lock.release()
	}
}
