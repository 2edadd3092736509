package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/outage"
	"service-courier/test/certificates"
)

// TestCauses: each fault has its own cause and fix, the same in log, doctor and /readyz,
// without the names of hosts in what everyone may read.
func TestCauses(t *testing.T) {
	t.Parallel()
	const sesame = "sesame.invalid"
	ca := certificates.NewAuthority(t, "the company")
	encrypted := kfakeWith(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.Issue("broker", time.Hour).TLS(t)}, MinVersion: tls.VersionTLS12}))
	authenticates := kfakeWith(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "u", "p"))
	const unable = "GSSAPI, OAUTHBEARER"
	unsupported := kfakeWith(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "u", "p"))
	refuseMechanism(unsupported, strings.Split(unable, ", ")...)
	restricted := kfakeWith(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.User("SCRAM-SHA-512", "u", "p"))
	topicOnly := kfakeWith(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.User("SCRAM-SHA-512", "u", "p", kfake.ACL{
		Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationRead, Allow: true,
	}))
	unresolved, unreachable := kfakeWith(t), kfakeWith(t)
	advertise(unresolved, sesame, 29092)
	advertise(unreachable, "127.0.0.1", 1)
	plain := startKfake(t).Addr()
	at := func(k *kfake.Cluster) string { return k.ListenAddrs()[0] }
	scram := Security{Mechanism: "SCRAM-SHA-512", Username: "u", Password: "p"}
	for what, c := range map[string]struct {
		addr       string
		security   Security
		topic      string
		cause, fix string
	}{
		"stopped": {"127.0.0.1:1", Security{}, topic, "Kafka refuses connections", "start Kafka, or correct KAFKA_BROKERS"},
		"stopped, with SASL and TLS": {
			"127.0.0.1:1",
			Security{TLS: true, Mechanism: "PLAIN", Username: "u", Password: "p"},
			topic,
			"Kafka refuses connections", "start Kafka, or correct KAFKA_BROKERS",
		},
		"no such host":     {sesame + ":9092", Security{}, topic, "the host of a Kafka broker does not resolve", "correct KAFKA_BROKERS, or the entry in DNS"},
		"no Kafka":         {closing(t), Security{}, topic, "Kafka closed the connection", "check that KAFKA_BROKERS are Kafka brokers"},
		"TLS to plaintext": {plain, Security{TLS: true}, topic, "this Kafka listener uses no TLS", "unset KAFKA_TLS, or set a TLS port"},
		"TLS to plaintext, which is silent": {
			at(kfakeWith(t)), Security{TLS: true}, topic, "this Kafka listener uses no TLS", "unset KAFKA_TLS, or set a TLS port",
		},
		"plaintext to TLS":  {at(encrypted), Security{}, topic, "this Kafka listener uses TLS", "set KAFKA_TLS=true"},
		"SASL to none":      {plain, scram, topic, "this Kafka listener uses no SASL", "unset KAFKA_SASL_MECHANISM"},
		"none to SASL":      {at(authenticates), Security{}, topic, "this Kafka listener requires SASL", "one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"},
		"another mechanism": {at(unsupported), scram, topic, "Kafka does not offer this SASL mechanism", "to one of " + unable},
		"no right on the topic": {
			at(restricted), scram, topic, "a right on the topic is missing", "allow this user to READ the topic of KAFKA_ORDER_TOPIC",
		},
		"no right on the group": {
			at(topicOnly), scram, topic, "a right on the consumer group is missing: group g", "allow this user to READ the group of KAFKA_GROUP_ID",
		},
		"no topic": {plain, Security{}, "another", "the topic does not exist", "create it, or correct KAFKA_ORDER_TOPIC"},
		"advertised name does not resolve": {
			at(unresolved), Security{}, topic, "Kafka advertises an address that does not resolve here: " + sesame + ":29092", "correct advertised.listeners",
		},
		"advertised address refuses": {
			at(unreachable), Security{}, topic, "Kafka advertises an address that cannot be reached from here: 127.0.0.1:1", "start that broker, or correct its advertised.listeners",
		},
		"a controller": {
			at(withoutCoordinator(t, kerr.UnsupportedVersion)), Security{}, topic, "this Kafka listener is a controller's, or Kafka is too old", "set a port for clients in KAFKA_BROKERS",
		},
		"no coordinator": {
			at(withoutCoordinator(t, kerr.CoordinatorNotAvailable)), Security{}, topic, "the coordinator of the consumer group is not available: group g", "the topic __consumer_offsets",
		},
		"members of another kind": {
			groupWithRange(t), Security{}, topic, "the consumer group has members of another kind: group g", "set another KAFKA_GROUP_ID, or stop those members",
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Brokers: []string{c.addr}, Topic: c.topic, GroupID: "g", Security: c.security}
			began := time.Now()
			err := problem(t.Context(), cfg)
			f, ok := errors.AsType[outage.Fixable](err)
			if !ok || !strings.HasPrefix(f.Detail(), c.cause) || !strings.Contains(f.Fix, c.fix) {
				t.Errorf("doctor: %v, want %q and %q", err, c.cause, c.fix)
			}
			t.Log(err)
			var log lockedBuffer
			consumer := NewConsumer(cfg, &sink{}, unobserved{}, unobserved{}, slog.New(slog.NewTextHandler(&log, nil)))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); consumer.Run(ctx, true) }()
			defer func() { cancel(); <-done }()
			fixture{T: t}.eventually("it is logged", func() bool { return strings.Contains(log.String(), `error="`+c.cause) })
			if took := time.Since(began); took > 20*time.Second { // 4 s on an idle machine
				t.Errorf("it took %v", took)
			}
			public := "not joined: " + outage.Public(f, "")
			if got := consumer.Status(); got == nil || got.Error() != public || strings.Contains(public, "sesame") || strings.Contains(public, "127.0.0.1") {
				t.Errorf("/readyz: %v, want %q", got, public)
			}
			if text := log.String(); strings.Count(text, "WARN") != 1 || !strings.Contains(text, c.fix) {
				t.Errorf("log:\n%s", text)
			}
		})
	}
}

// TestNoCoordinator: sarama tries for most of a minute before it returns this error.
func TestNoCoordinator(t *testing.T) {
	t.Parallel()
	cfg := Config{Brokers: withoutCoordinator(t, kerr.CoordinatorNotAvailable).ListenAddrs(), Topic: topic, GroupID: "g"}
	f, ok := errors.AsType[outage.Fixable](problem(t.Context(), cfg))
	if !ok || f.Cause != "the coordinator of the consumer group is not available" || !strings.Contains(f.Fix, "__consumer_offsets") {
		t.Errorf("doctor: %v", f)
	}
}

// TestSlowBrokerIsNoCause: while the broker takes its time for the first request, its listener is
// examined. A listener that answers SASL's handshake need not require SASL, so the answer counts.
func TestSlowBrokerIsNoCause(t *testing.T) {
	t.Parallel()
	k := kfakeWith(t)
	examined := make(chan struct{})
	examine := sync.OnceFunc(func() { close(examined) })
	t.Cleanup(examine)
	k.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		k.SleepControl(func() { <-examined })
		return nil, nil, false
	})
	k.ControlKey(int16(kmsg.SASLHandshake), func(kmsg.Request) (kmsg.Response, error, bool) {
		examine()
		return nil, nil, false
	})
	if err := (Config{Brokers: k.ListenAddrs(), Topic: topic}).try(t.Context(), k.ListenAddrs()[0]); err != nil {
		t.Errorf("a slow broker is reported as %v", err)
	}
}

// problem is what doctor reports.
func problem(ctx context.Context, cfg Config) error {
	in, err := Inspect(ctx, cfg)
	if err != nil {
		return err
	}
	if err := in.TopicProblem(cfg.Topic); err != nil {
		return err
	}
	if in.GroupErr != nil {
		return in.GroupErr
	}
	return in.GroupProblem(cfg.GroupID)
}

func kfakeWith(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	k, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func refuseMechanism(k *kfake.Cluster, supported ...string) {
	k.ControlKey(int16(kmsg.SASLHandshake), func(request kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		refusal := request.ResponseKind().(*kmsg.SASLHandshakeResponse)
		refusal.ErrorCode, refusal.SupportedMechanisms = kerr.UnsupportedSaslMechanism.Code, supported
		return refusal, nil, true
	})
}

// withoutCoordinator returns a broker that answers with err which broker coordinates a group.
func withoutCoordinator(t *testing.T, err *kerr.Error) *kfake.Cluster {
	t.Helper()
	k := kfakeWith(t)
	k.ControlKey(int16(kmsg.FindCoordinator), func(request kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		refusal := request.ResponseKind().(*kmsg.FindCoordinatorResponse)
		refusal.ErrorCode = err.Code
		return refusal, nil, true
	})
	return k
}

// advertise makes the broker name another address for itself.
func advertise(k *kfake.Cluster, host string, port int32) {
	k.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		r := request.ResponseKind().(*kmsg.MetadataResponse)
		broker := kmsg.NewMetadataResponseBroker()
		broker.Host, broker.Port = host, port
		r.Brokers = append(r.Brokers, broker)
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = new(topic)
		for i := range int32(partitions) {
			p := kmsg.NewMetadataResponseTopicPartition()
			p.Partition, p.Replicas, p.ISR = i, []int32{0}, []int32{0}
			t.Partitions = append(t.Partitions, p)
		}
		r.Topics = append(r.Topics, t)
		return r, nil, true
	})
	k.ControlKey(int16(kmsg.FindCoordinator), func(request kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		r := request.ResponseKind().(*kmsg.FindCoordinatorResponse)
		r.Host, r.Port = host, port
		return r, nil, true
	})
}

// closing is a server that closes each connection after the first bytes.
func closing(t *testing.T) (addr string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, 4))
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// idle is a member that does nothing.
type idle struct{ joined chan struct{} }

func (i idle) Setup(sarama.ConsumerGroupSession) error { close(i.joined); return nil }

func (idle) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (idle) ConsumeClaim(s sarama.ConsumerGroupSession, _ sarama.ConsumerGroupClaim) error {
	<-s.Context().Done()
	return nil
}

// groupWithRange is a broker whose group g has a member with another protocol.
func groupWithRange(t *testing.T) (addr string) {
	t.Helper()
	addr = startKfake(t).Addr()
	conf := saramaConfig()
	conf.Consumer.Return.Errors = false
	conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	group, err := sarama.NewConsumerGroup([]string{addr}, "g", conf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	member := idle{make(chan struct{})}
	done := make(chan struct{})
	go func() { defer close(done); _ = group.Consume(ctx, []string{topic}, member) }()
	t.Cleanup(func() { cancel(); <-done; _ = group.Close() })
	select {
	case <-member.joined:
	case <-time.After(patience):
		t.Fatal("the other member has not joined")
	}
	return addr
}
