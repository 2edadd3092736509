package devstack

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

type kafkaReport struct{ Addr string }

// kafkaChild runs a broker in the directory of its argument. It produces five
// records a partition, reads and commits three of them, and waits to be killed.
func kafkaChild() {
	ctx := context.Background()
	kafka, err := StartKafka(ctx, KafkaConfig{
		Port: AnyPort, DataDir: os.Args[1], Topics: map[string]int{testTopic: 0}, Logger: silent(),
	})
	if err != nil {
		childFailed(err)
	}
	if err := produce(kafka.Addr(), defaultPartitions, 0, 5); err != nil {
		childFailed(err)
	}
	if _, err := consume(ctx, kafka.Addr(), defaultPartitions, 3); err != nil {
		childFailed(err)
	}
	reportAndWait(kafkaReport{Addr: kafka.Addr()})
}

// Neither the broker nor its group's member had a say in their end.
func TestKafkaKeepsItsDataOverAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var report kafkaReport
	startChild(t, "kafka", dir, &report).kill()

	kafka := startTestKafka(t, KafkaConfig{Port: AnyPort, DataDir: dir, Topics: map[string]int{testTopic: 0}})
	assertPartitions(t, kafka.Addr(), map[string]int{testTopic: defaultPartitions})
	assertCommitted(t, kafka.Addr(), 3)
	must(t, produce(kafka.Addr(), defaultPartitions, 5, 1))
	rest, err := consume(t.Context(), kafka.Addr(), defaultPartitions, 3)
	must(t, err)
	for partition := range int32(defaultPartitions) {
		if got := strings.Join(rest[partition], " "); got != "3 4 5" {
			t.Errorf("partition %d went on with %q", partition, got)
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
