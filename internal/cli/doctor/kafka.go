package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"service-courier/internal/app"
	"service-courier/internal/config"
	"service-courier/internal/transport/kafka"
)

// The checks of Kafka.
const (
	checkKafka  = "kafka"
	checkTopic  = "topic"
	checkGroup  = "consumer group"
	checkEvents = "event topic"
)

func checkBrokers(ctx context.Context, cfg config.Config) []Finding {
	dependent := []string{checkTopic, checkGroup}
	if cfg.KafkaAssignmentTopic != "" {
		dependent = append(dependent, checkEvents)
	}
	rest := unknown("depends on "+checkKafka, dependent...)
	if cfg.CheckKafka() != nil {
		return append(unknown(dependsOnSettings, checkKafka), rest...)
	}
	in, err := bounded(ctx, checkTimeout, func(ctx context.Context) (kafka.Inspection, error) {
		return kafka.Inspect(ctx, app.KafkaConfig(cfg))
	})
	if err != nil {
		return append([]Finding{failureOf(checkKafka, err, "start Kafka, or correct KAFKA_BROKERS")}, rest...)
	}
	reached := okay(checkKafka, fmt.Sprintf("answers, brokers: %d", in.Brokers))
	if len(in.Silent) > 0 {
		reached = warning(checkKafka, fmt.Sprintf("%s; no answer from %s", reached.Detail, strings.Join(in.Silent, ", ")),
			"start these brokers, or remove them from KAFKA_BROKERS")
	}
	findings := []Finding{reached, topicFinding(cfg.KafkaTopic, in), groupFinding(cfg.KafkaGroupID, in)}
	if cfg.KafkaAssignmentTopic != "" {
		findings = append(findings, checkEventTopic(ctx, cfg))
	}
	return findings
}

// checkEventTopic checks the topic of the outbox.
func checkEventTopic(ctx context.Context, cfg config.Config) Finding {
	events := app.KafkaConfig(cfg)
	events.Topic = cfg.KafkaAssignmentTopic
	topic, err := bounded(ctx, checkTimeout, func(ctx context.Context) (kafka.EventTopic, error) { return kafka.InspectEvents(ctx, events) })
	if err != nil {
		return failureOf(checkEvents, err, "see the log of the brokers; meanwhile the journal keeps the events")
	}
	return eventTopicFinding(events.Topic, topic)
}

func eventTopicFinding(name string, t kafka.EventTopic) Finding {
	detail := fmt.Sprintf("%s: %d partitions, cleanup.policy %s", name, t.Partitions, cmp.Or(t.CleanupPolicy, "not readable"))
	if t.Compacted() {
		return warning(checkEvents, detail+": Kafka removes the earlier events of an order",
			"set cleanup.policy to delete, unless every consumer needs only the latest event of an order")
	}
	return okay(checkEvents, detail)
}

func topicFinding(topic string, in kafka.Inspection) Finding {
	if err := in.TopicProblem(topic); err != nil {
		return failureOf(checkTopic, err, "")
	}
	var records int64
	for _, p := range in.Partitions {
		records += p.Newest - p.Oldest
	}
	return okay(checkTopic, fmt.Sprintf("%s: %d partitions, %d records", topic, len(in.Partitions), records))
}

// maxLag is some seconds of work.
const maxLag = 10_000

// groupFinding lists the members and the lag of each partition.
func groupFinding(group string, in kafka.Inspection) Finding {
	if in.GroupErr != nil {
		return failureOf(checkGroup, in.GroupErr, "see the brokers' log about the group "+group)
	}
	if err := in.GroupProblem(group); err != nil {
		return failureOf(checkGroup, err, "").with(members(in)...)
	}
	var lag, lost int64
	ahead := false
	for _, p := range in.Partitions {
		lag += p.Lag()
		lost += p.Lost()
		ahead = ahead || p.Ahead()
	}
	detail := fmt.Sprintf("%s: %s, members: %d, lag: %d", group, cmp.Or(in.Group.State, "unknown"), len(in.Group.Members), lag)
	f := okay(checkGroup, detail)
	switch {
	case ahead:
		f = warning(checkGroup, detail+"; committed offsets are beyond the end of the topic",
			"the topic was recreated and is read from its oldest record: run service-courier resync")
	case lost > 0:
		f = warning(checkGroup, fmt.Sprintf("%s; Kafka removed %d records before they were read", detail, lost),
			"run service-courier resync with --since before that, and increase the retention of the topic")
	case len(in.Group.Members) == 0:
		f = warning(checkGroup, detail, "nothing reads the events: start serve, or see its log; its KAFKA_GROUP_ID may differ")
	case len(in.Unowned()) > 0:
		f = warning(checkGroup, fmt.Sprintf("%s; no member reads the partitions %v", detail, in.Unowned()),
			"check again in a minute, in which added partitions are noticed; then restart the members")
	case in.Group.State != "Stable":
		f = warning(checkGroup, detail, "its members are joining: check again in a few seconds")
	case lag > maxLag:
		f = warning(checkGroup, detail, "add replicas or see what slows them; check again whether the lag shrinks")
	}
	return f.with(members(in)...)
}

// members has a line per member, and one with the lag of every partition.
func members(in kafka.Inspection) []string {
	var lines []string
	for _, m := range in.Group.Members {
		lines = append(lines, fmt.Sprintf("member at %s (client id %s) has partitions %v", m.Host, m.Client, m.Partitions))
	}
	if len(in.Partitions) == 0 {
		return lines
	}
	lags := make([]string, len(in.Partitions))
	for i, p := range in.Partitions {
		lags[i] = fmt.Sprintf("%d: %d", p.ID, p.Lag())
	}
	return append(lines, "lag by partition: "+strings.Join(lags, ", "))
}
