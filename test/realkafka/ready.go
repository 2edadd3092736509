package realkafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// nodeID of the only node.
const nodeID = "1"

// clientConfig is for the package's own requests.
func clientConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.ClientID = "realkafka"
	config.Version = sarama.MaxVersion
	config.Net.DialTimeout = 2 * time.Second
	config.Net.ReadTimeout = 10 * time.Second
	config.Net.WriteTimeout = 10 * time.Second
	config.Metadata.Retry.Max = 0 // the callers retry
	return config
}

// checkReady returns nil when the broker has joined its cluster, accepts consumer groups
// and leads every partition, so that clients need no retries. want is the number of
// partitions by topic.
func checkReady(ctx context.Context, addr string, want map[string]int) (err error) {
	// sarama would log each refused connection.
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

// checkCoordinator requests a group's coordinator. The first request makes the broker
// create the offsets topic, for which sarama would wait in steps of 2 s.
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

// checkMetadata checks that the broker has joined (is not fenced) and that the topics in
// want have their partitions.
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
			return fmt.Errorf("topic %s has %d of %d partitions", topic, partitions[topic], count)
		}
	}
	return nil
}

// checkLeading requests an offset of every partition: a leader accepts requests a moment
// after the metadata names it.
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
