package app

import (
	"context"
	"fmt"
	"strings"

	"service-courier/internal/config"
	"service-courier/internal/doctor"
	"service-courier/internal/transport/kafka"
)

// The checks of Kafka.
const (
	checkKafka = "kafka"
	checkTopic = "topic"
	checkGroup = "consumer group"
)

// examineKafka asks once for all of its checks.
func examineKafka(ctx context.Context, cfg config.Config) []doctor.Finding {
	rest := notKnown("Kafka cannot be asked", checkTopic, checkGroup)
	if len(cfg.KafkaBrokers) == 0 {
		return append([]doctor.Finding{doctor.Failure(checkKafka, "not asked: KAFKA_BROKERS is not set", "set it to host:port")}, rest...)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	in, err := kafka.Inspect(ctx, kafkaConfig(cfg))
	if err != nil {
		return append([]doctor.Finding{failure(checkKafka, err, "start Kafka, or correct KAFKA_BROKERS")}, rest...)
	}
	reached := doctor.Okay(checkKafka, fmt.Sprintf("answers, brokers: %d", in.Brokers))
	return []doctor.Finding{reached, topicFinding(cfg.KafkaTopic, in), groupFinding(cfg.KafkaGroupID, in)}
}

func topicFinding(topic string, in kafka.Inspection) doctor.Finding {
	if len(in.Partitions) == 0 {
		return doctor.Failure(checkTopic, topic+" does not exist", "create it, or correct KAFKA_ORDER_TOPIC; nobody here makes topics")
	}
	var records int64
	var down []string
	for _, p := range in.Partitions {
		records += p.Newest - p.Oldest
		if p.Leaderless {
			down = append(down, fmt.Sprint(p.ID))
		}
	}
	if len(down) > 0 {
		return doctor.Failure(checkTopic, fmt.Sprintf("%s: no broker serves partition %s", topic, strings.Join(down, ", ")), "start the brokers that have these partitions")
	}
	return doctor.Okay(checkTopic, fmt.Sprintf("%s: %d partitions, %d records", topic, len(in.Partitions), records))
}

// farBehind is some seconds of work; more is a backlog that somebody may feel.
const farBehind = 10_000

// groupFinding tells the members and the lag of each partition.
func groupFinding(group string, in kafka.Inspection) doctor.Finding {
	if in.GroupErr != nil {
		return failure(checkGroup, in.GroupErr, "see the brokers' log about the group "+group)
	}
	lag, lost, ahead := totals(in.Partitions)
	f := doctor.Okay(checkGroup, fmt.Sprintf("%s: %s, members: %d, lag: %d", group, orUnknown(in.Group.State), len(in.Group.Members), lag))
	switch {
	case ahead:
		f = doctor.Warning(checkGroup, f.Detail+"; it has committed offsets that the topic does not have",
			"the topic was made anew: the consumer begins at its oldest record; then service-courier resync")
	case lost > 0:
		f = doctor.Warning(checkGroup, fmt.Sprintf("%s; Kafka removed %d records before they were read", f.Detail, lost),
			"service-courier resync --since a time before that, and raise the topic's retention")
	case len(in.Group.Members) == 0:
		f = doctor.Warning(checkGroup, f.Detail, "nobody reads the events: start serve, or see its log; KAFKA_GROUP_ID may differ from its own")
	case in.Group.State != "Stable":
		f = doctor.Warning(checkGroup, f.Detail, "its members are joining: ask again in some seconds")
	case lag > farBehind:
		f = doctor.Warning(checkGroup, f.Detail, "it is far behind: more replicas, or see what slows them; ask again whether it shrinks")
	}
	return f.With(members(in)...)
}

func totals(partitions []kafka.PartitionState) (lag, lost int64, ahead bool) {
	for _, p := range partitions {
		lag += p.Lag()
		lost += p.Lost()
		ahead = ahead || p.Ahead()
	}
	return lag, lost, ahead
}

func orUnknown(state string) string {
	if state == "" {
		return "unknown"
	}
	return state
}

// members is a line each, and one with the lag of every partition.
func members(in kafka.Inspection) []string {
	var lines []string
	for _, m := range in.Group.Members {
		lines = append(lines, fmt.Sprintf("member at %s has partitions %v", m.Host, m.Partitions))
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
