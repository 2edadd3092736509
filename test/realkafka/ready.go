package realkafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// nodeID is the one node's id.
const nodeID = "1"

// clientConfig is how the harness itself talks to the broker.
func clientConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.ClientID = "realkafka"
	config.Version = sarama.MaxVersion
	config.Net.DialTimeout = 2 * time.Second
	config.Net.ReadTimeout = 10 * time.Second
	config.Net.WriteTimeout = 10 * time.Second
	// The callers poll.
	config.Metadata.Retry.Max = 0
	return config
}

// checkReady returns nil when the broker at addr serves clients, who then need
// no retries of their own: it has joined its cluster, takes consumer groups, and
// leads every partition. An open port says none of that. want names partitions
// that must be there, by topic.
func checkReady(ctx context.Context, addr string, want map[string]int) (err error) {
	// Most of the wait is for the port, and sarama would log each refusal.
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return err
	}
	config := clientConfig()
	broker := sarama.NewBroker(addr)
	if err := broker.Open(config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	if err := checkCoordinator(broker); err != nil {
		return err
	}
	metadata, err := broker.GetMetadata(sarama.NewMetadataRequest(config.Version, nil))
	if err != nil {
		return err
	}
	if err := checkMetadata(metadata, want); err != nil {
		return err
	}
	return checkLeading(broker, config.Version, metadata.Topics)
}

// checkCoordinator asks who coordinates some consumer group. The first to ask
// makes the broker create the topic of the groups' offsets, over which sarama
// would wait in steps of 2 s.
func checkCoordinator(broker *sarama.Broker) error {
	response, err := broker.FindCoordinator(&sarama.FindCoordinatorRequest{Version: 1, CoordinatorKey: "realkafka"})
	if err != nil {
		return err
	}
	if !errors.Is(response.Err, sarama.ErrNoError) {
		return fmt.Errorf("consumer groups: %w", response.Err)
	}
	return nil
}

// checkMetadata sees that the broker has joined, which it has not while it is
// fenced, and that the topics in want have their partitions.
func checkMetadata(metadata *sarama.MetadataResponse, want map[string]int) error {
	if len(metadata.Brokers) == 0 {
		return errors.New("the broker has not joined its cluster yet")
	}
	partitions := make(map[string]int)
	for _, topic := range metadata.Topics {
		partitions[topic.Name] = len(topic.Partitions)
	}
	for topic, count := range want {
		if partitions[topic] != count {
			return fmt.Errorf("topic %s has %d partitions yet, not %d", topic, partitions[topic], count)
		}
	}
	return nil
}

// checkLeading asks for an offset of every partition: the metadata names its
// leader a moment before the leader knows of it and refuses no longer.
func checkLeading(broker *sarama.Broker, version sarama.KafkaVersion, topics []*sarama.TopicMetadata) error {
	request := sarama.NewOffsetRequest(version)
	for _, topic := range topics {
		for _, partition := range topic.Partitions {
			request.AddBlock(topic.Name, partition.ID, sarama.OffsetNewest, 1)
		}
	}
	response, err := broker.GetAvailableOffsets(request)
	if err != nil {
		return err
	}
	for topic, partitions := range response.Blocks {
		for id, partition := range partitions {
			if !errors.Is(partition.Err, sarama.ErrNoError) {
				return fmt.Errorf("partition %s/%d: %w", topic, id, partition.Err)
			}
		}
	}
	return nil
}
