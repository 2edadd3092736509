package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

const (
	// coordinatorPatience is longer than a new cluster takes to create __consumer_offsets, for
	// which the first request for a coordinator is the signal.
	coordinatorPatience = 3 * time.Second
	// inspectPatience leaves time for the other requests of an inspection.
	inspectPatience     = time.Second
	coordinatorInterval = 250 * time.Millisecond
)

// awaitCoordinator returns an error if the group has no coordinator for as long as patience.
// sarama returns the same one after half a minute of retries.
func awaitCoordinator(ctx context.Context, client sarama.Client, group string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for hasNoCoordinator(client, group) {
		select {
		case <-time.After(coordinatorInterval):
		case <-ctx.Done():
			return sarama.ErrConsumerCoordinatorNotAvailable
		}
	}
	return nil
}

// hasNoCoordinator reports whether a broker says so. sarama handles each other error: it
// tries the other brokers, and requests the topic first.
func hasNoCoordinator(client sarama.Client, group string) bool {
	broker := client.LeastLoadedBroker()
	if broker == nil {
		return false
	}
	answer, err := broker.FindCoordinator(&sarama.FindCoordinatorRequest{Version: 2, CoordinatorKey: group, CoordinatorType: sarama.CoordinatorGroup})
	return err == nil && errors.Is(answer.Err, sarama.ErrConsumerCoordinatorNotAvailable)
}
