package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/IBM/sarama"

	"service-courier/internal/outage"
)

// EventTopic is the state of the topic of the outbox.
type EventTopic struct {
	Partitions    int
	CleanupPolicy string // "" if this user may not read it, which publishing does not need
}

// Compacted reports that Kafka removes earlier events of an order.
func (t EventTopic) Compacted() bool { return strings.Contains(t.CleanupPolicy, "compact") }

// InspectEvents reads whether events can be published to the topic of cfg. The error says
// why not, with the fix. ctx bounds it. Nothing is published.
func InspectEvents(ctx context.Context, cfg Config) (t EventTopic, err error) {
	conf, err := cfg.sarama()
	if err != nil {
		return t, err
	}
	seeds, _, err := cfg.seeds(ctx)
	if err != nil {
		return t, err
	}
	client, err := sarama.NewClient(seeds, withoutRetries(ctx, conf, cfg.Brokers))
	if err != nil {
		return t, explainTimeout(ctx, err)
	}
	defer func() { _ = client.Close() }()
	request := sarama.NewMetadataRequest(conf.Version, []string{cfg.Topic})
	request.AllowAutoTopicCreation, request.IncludeTopicAuthorizedOperations = false, true
	answer, err := client.LeastLoadedBroker().GetMetadata(request)
	if err != nil {
		return t, explainTimeout(ctx, err)
	}
	for _, topic := range answer.Topics {
		if err := eventTopicProblem(topic); err != nil {
			return t, explainEvents(fmt.Errorf("%s: %w", cfg.Topic, err), "WRITE")
		}
		t.Partitions = len(topic.Partitions)
	}
	if admin, err := sarama.NewClusterAdminFromClient(client); err == nil {
		t.CleanupPolicy = cleanupPolicy(admin, cfg.Topic)
	}
	return t, nil
}

// eventTopicProblem returns why this user cannot publish to a topic.
func eventTopicProblem(topic *sarama.TopicMetadata) error {
	const unknown = math.MinInt32 // the broker does not say what is authorized
	if topic.Err != sarama.ErrNoError {
		return topic.Err
	}
	if ops := topic.TopicAuthorizedOperations; ops != unknown && ops&(1<<sarama.AclOperationWrite) == 0 {
		return sarama.ErrTopicAuthorizationFailed
	}
	for _, p := range topic.Partitions {
		if errors.Is(p.Err, sarama.ErrLeaderNotAvailable) || p.Leader < 0 {
			return outage.Fixable{Err: fmt.Errorf("no broker serves partition %d", p.ID), Fix: "start the brokers that have it"}
		}
	}
	return nil
}

func cleanupPolicy(admin sarama.ClusterAdmin, topic string) string {
	settings, err := topicSettings(admin, topic, "cleanup.policy")
	if err != nil || len(settings) != 1 {
		return ""
	}
	return settings[0].Value
}
