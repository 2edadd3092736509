package kafka

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"service-courier/internal/outage"
	"service-courier/test/realkafka"
)

func TestInspectOnKfake(t *testing.T) {
	t.Parallel()
	testInspect(t, startKfake(t).Addr())
}

func TestInspectOnRealKafka(t *testing.T) {
	b := realkafka.Require(t, realkafka.Options{})
	if err := b.CreateTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	testInspect(t, b.Addr())
}

func testInspect(t *testing.T, addr string) {
	t.Helper()
	b := fixture{t, broker{addr: addr}, Config{Brokers: []string{addr}, Topic: topic, GroupID: "inspected"}}
	inspect := func(cfg Config) Inspection {
		t.Helper()
		in, err := Inspect(t.Context(), cfg)
		if err != nil || in.GroupErr != nil {
			t.Fatal(err, in.GroupErr)
		}
		return in
	}
	if in := inspect(Config{Brokers: b.cfg.Brokers, Topic: "absent", GroupID: "absent"}); in.Brokers != 1 || len(in.Partitions)+len(in.Group.Members) != 0 {
		t.Errorf("a missing topic: %+v", in)
	}
	b.produce(events(0, 12)...)
	if in := inspect(b.cfg); len(in.Partitions) != partitions || lagOf(in) != 12 || in.Partitions[0].Committed != -1 || len(in.Group.Members) != 0 {
		t.Errorf("nothing read yet: %+v", in)
	}
	var s sink
	stop := b.consume(&s)
	b.eventually("all is read and committed", func() bool { return lagOf(inspect(b.cfg)) == 0 })
	in := inspect(b.cfg)
	if in.Group.State != "Stable" || len(in.Group.Members) != 1 || len(in.Group.Members[0].Partitions) != partitions {
		t.Errorf("one member: %+v", in.Group)
	}
	stop()
	b.eventually("the group is empty", func() bool { in := inspect(b.cfg); return len(in.Group.Members) == 0 && lagOf(in) == 0 })
	lose(t, b.cfg)
	in = inspect(b.cfg)
	if p := in.Partitions[0]; p.Lost() != 2 || p.Lag() != 0 || p.Ahead() || in.Partitions[1].Lost() != 0 {
		t.Errorf("records removed before they were read: %+v", in.Partitions)
	}
}

func TestInspectNewProtocolOnKfake(t *testing.T) {
	t.Parallel()
	testNewProtocol(t, startKfake(t).Addr())
}

// TestInspectOldKafka: Kafka before 3.8 does not name the type of a group.
func TestInspectOldKafka(t *testing.T) {
	t.Parallel()
	addr := kfakeWith(t, kfake.MaxVersions(kversion.V2_8_0())).ListenAddrs()[0]
	in, err := Inspect(t.Context(), Config{Brokers: []string{addr}, Topic: topic, GroupID: "g"})
	if err = errors.Join(err, in.GroupErr, in.GroupProblem("g")); err != nil || in.Group.State != "Dead" {
		t.Errorf("%+v: %v", in.Group, err)
	}
}

func TestInspectNewProtocolOnRealKafka(t *testing.T) {
	b := realkafka.Require(t, realkafka.Options{})
	if err := b.CreateTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	testNewProtocol(t, b.Addr())
	sharesGroup(t, b.Addr())
}

// sharesGroup: this service is a member of the group too, which kfake does not allow.
func sharesGroup(t *testing.T, addr string) {
	t.Helper()
	b := fixture{t, broker{addr: addr}, Config{Brokers: []string{addr}, Topic: topic, GroupID: "g12"}}
	b.consume(&sink{})
	b.eventually("the consumer has joined", func() bool { return b.groupState() == "Stable" })
	member, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(b.cfg.GroupID), kgo.ServerSideBalancer())
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	b.eventually("the group has a problem", func() bool {
		in, err := Inspect(t.Context(), b.cfg)
		return err == nil && in.GroupProblem(b.cfg.GroupID) != nil
	})
}

// testNewProtocol: a member with the new protocol, which brokers describe as a dead group, is
// another program. Fails without readType.
func testNewProtocol(t *testing.T, addr string) {
	t.Helper()
	b := fixture{t, broker{addr: addr}, Config{Brokers: []string{addr}, Topic: topic, GroupID: "g11"}}
	b.produce(events(0, 3)...)
	member, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(b.cfg.GroupID), kgo.ServerSideBalancer())
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	problem := func() error {
		in, err := Inspect(t.Context(), b.cfg)
		if err != nil || in.GroupErr != nil {
			t.Fatal(err, in.GroupErr)
		}
		if partitions := in.Unowned(); partitions != nil {
			t.Errorf("no owner of %v, want unknown", partitions)
		}
		return in.GroupProblem(b.cfg.GroupID)
	}
	b.eventually("the group has a problem", func() bool { return problem() != nil })
	if err := problem(); !strings.Contains(err.Error(), "group g11 has the type consumer") || !strings.Contains(outage.FixOf(err), "--members --group g11") {
		t.Error(err)
	}
	member.Close()
	b.eventually("the group has no problem", func() bool { return problem() == nil })
}

func lagOf(in Inspection) (lag int64) {
	for _, p := range in.Partitions {
		lag += p.Lag()
	}
	return lag
}

// lose resets the group to the start of partition 0 and removes its records.
func lose(t *testing.T, cfg Config) {
	t.Helper()
	client, err := sarama.NewClient(cfg.Brokers, saramaConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	offsets, err := sarama.NewOffsetManagerFromClient(cfg.GroupID, client)
	if err != nil {
		t.Fatal(err)
	}
	first, err := offsets.ManagePartition(cfg.Topic, 0)
	if err != nil {
		t.Fatal(err)
	}
	first.ResetOffset(0, "")
	offsets.Commit()
	if err := errors.Join(first.Close(), offsets.Close(), admin.DeleteRecords(cfg.Topic, map[int32]int64{0: 2})); err != nil {
		t.Fatal(err)
	}
}

// TestInspectEndsWithContext: a broker that never answers delays Inspect until the
// end of ctx, not until sarama's own timeouts.
func TestInspectEndsWithContext(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = Inspect(ctx, Config{Brokers: []string{silent.Addr().String()}, Topic: topic, GroupID: "g"})
	if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 3*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestPartitionState(t *testing.T) {
	for _, c := range []struct {
		p         PartitionState
		lag, lost int64
		ahead     bool
	}{
		{PartitionState{Oldest: 5, Newest: 9, Committed: -1}, 4, 0, false},
		{PartitionState{Oldest: 5, Newest: 9, Committed: 7}, 2, 0, false},
		{PartitionState{Oldest: 5, Newest: 9, Committed: 2}, 4, 3, false},
		{PartitionState{Oldest: 0, Newest: 1, Committed: 7}, 0, 0, true},
	} {
		if c.p.Lag() != c.lag || c.p.Lost() != c.lost || c.p.Ahead() != c.ahead {
			t.Errorf("%+v: lag %d, lost %d, ahead %t", c, c.p.Lag(), c.p.Lost(), c.p.Ahead())
		}
	}
}
