package devkafka

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"service-courier/internal/dev/childtest"
)

type childReport struct{ Addr string }

// brokerChild runs a broker in the directory of its argument. It produces five
// records a partition, reads and commits three of them, and waits to be killed.
func brokerChild() {
	ctx := context.Background()
	broker, err := Start(ctx, Config{
		Port: AnyPort, DataDir: os.Args[1], Topics: map[string]int{testTopic: 0}, Logger: silent(),
	})
	if err != nil {
		childtest.Fail(err)
	}
	if err := produce(broker.Addr(), defaultPartitions, 0, 5); err != nil {
		childtest.Fail(err)
	}
	if _, err := consume(ctx, broker.Addr(), defaultPartitions, 3); err != nil {
		childtest.Fail(err)
	}
	childtest.ReportAndWait(childReport{Addr: broker.Addr()})
}

// kill -9 ends the broker and the consumer group without a shutdown.
func TestDataSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kill := childtest.Start(t, dir, &childReport{})
	kill()

	broker := startTest(t, Config{Port: AnyPort, DataDir: dir, Topics: map[string]int{testTopic: 0}})
	assertPartitions(t, broker.Addr(), map[string]int{testTopic: defaultPartitions})
	assertCommitted(t, broker.Addr(), 3)
	must(t, produce(broker.Addr(), defaultPartitions, 5, 1))
	rest, err := consume(t.Context(), broker.Addr(), defaultPartitions, 3)
	must(t, err)
	for partition := range int32(defaultPartitions) {
		if got := strings.Join(rest[partition], " "); got != "3 4 5" {
			t.Errorf("partition %d continued with %q", partition, got)
		}
	}
}

func assertCommitted(t *testing.T, addr string, want int64) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin([]string{addr}, saramaConfig())
	must(t, err)
	defer func() { _ = admin.Close() }()
	offsets, err := admin.ListConsumerGroupOffsets(testGroup, nil)
	must(t, err)
	for partition := range int32(defaultPartitions) {
		block := offsets.GetBlock(testTopic, partition)
		if block == nil || block.Offset != want {
			t.Errorf("partition %d: committed %v, want %d", partition, block, want)
		}
	}
}
