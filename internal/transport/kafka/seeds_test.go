package kafka

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// silentBroker accepts connections and answers nothing.
func silentBroker(t *testing.T) (addr string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// TestSilentSeedBrokers: a configured broker that answers nothing delays no client, and
// is named. sarama would wait more than a minute for each.
func TestSilentSeedBrokers(t *testing.T) {
	t.Parallel()
	b := fixture{t, broker{addr: startKfake(t).Addr()}, Config{Topic: topic, GroupID: "silent"}}
	b.produceTo(0, eventOf(0))
	silent := []string{silentBroker(t), silentBroker(t)}
	b.cfg.Brokers = []string{silent[0], b.addr, silent[1]}
	began := time.Now()
	var s sink
	var log lockedBuffer
	b.consumeWith(&s, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
	b.eventually("the record is read", func() bool { return s.orders() == 1 })
	in, err := Inspect(t.Context(), b.cfg)
	if err != nil || !slices.Equal(in.Silent, []string{silent[0], silent[1]}) {
		t.Errorf("Inspect: %v, %v", in.Silent, err)
	}
	p := newProducerFor(t, b.cfg)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 15*time.Second { // measured: 2 s
		t.Errorf("it took %v", took)
	}
	if !strings.Contains(log.String(), silent[0]) || strings.Count(log.String(), "kafka brokers do not answer") != 1 {
		t.Errorf("log:\n%s", log.String())
	}
}

func newProducerFor(t *testing.T, cfg Config) *Producer {
	t.Helper()
	p, err := NewProducer(context.Background(), cfg) // the test's own context ends before Close
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAllSeedBrokersAreSilent: the error names them, within the time given.
func TestAllSeedBrokersAreSilent(t *testing.T) {
	t.Parallel()
	cfg := Config{Brokers: []string{silentBroker(t), silentBroker(t)}, Topic: topic, GroupID: "silent"}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := Inspect(ctx, cfg)
	if err == nil || !strings.Contains(err.Error(), cfg.Brokers[0]) || !strings.Contains(err.Error(), cfg.Brokers[1]) {
		t.Errorf("Inspect: %v, want it to name both brokers", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	var log lockedBuffer
	b := fixture{t, broker{}, cfg}
	b.consumeWith(&sink{}, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
	b.eventually("the outage is logged with the brokers", func() bool { return strings.Contains(log.String(), cfg.Brokers[1]) })
}

// TestAddedPartitions: they are read, and without a member that notices them they are
// reported.
func TestAddedPartitions(t *testing.T) {
	t.Parallel()
	b := fixture{t, broker{addr: startKfake(t).Addr()}, Config{Topic: topic, GroupID: "added", metadataRefresh: 200 * time.Millisecond}}
	b.cfg.Brokers = []string{b.addr}
	var s sink
	stop := b.consume(&s)
	b.produceTo(0, eventOf(0))
	b.eventually("it has joined", func() bool { return s.orders() == 1 })
	if err := b.admin().CreatePartitions(topic, partitions+2, nil, false); err != nil {
		t.Fatal(err)
	}
	b.produceTo(partitions+1, eventOf(1))
	b.eventually("a record of an added partition is read", func() bool { return s.orders() == 2 })
	stop()

	b.cfg.metadataRefresh = time.Hour
	var log lockedBuffer
	c := NewConsumer(b.cfg, &s, unobserved{}, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx, true) }()
	go c.watchUnowned(ctx, 100*time.Millisecond)
	b.eventually("it has joined", func() bool { return c.Status() == nil })
	if err := b.admin().CreatePartitions(topic, partitions+4, nil, false); err != nil {
		t.Fatal(err)
	}
	b.eventually("partitions without owner are known", func() bool { return slices.Equal(c.Unowned(), []int32{partitions + 2, partitions + 3}) })
	cancel()
	<-done
	if n := strings.Count(log.String(), "partitions without owner"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

// TestRefreshWithinAMinute: an added partition is noticed after two refreshes at most.
func TestRefreshWithinAMinute(t *testing.T) {
	if got := saramaConfig().Metadata.RefreshFrequency; 2*got+saramaConfig().Consumer.Group.Rebalance.Timeout > time.Minute {
		t.Errorf("metadata is refreshed every %v", got)
	}
	if c := saramaConfig(); c.Net.ReadTimeout <= c.Consumer.Group.Rebalance.Timeout {
		t.Errorf("a join may take %v, and reading ends after %v", c.Consumer.Group.Rebalance.Timeout, c.Net.ReadTimeout)
	}
}
