package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"
)

// Forever is how long a topic keeps its records when nothing bounds it by time.
const Forever time.Duration = -1

// Kept asks how long a record of the topic may still be read: Forever, or its
// retention and the life of a segment, since a segment goes as a whole. ctx bounds
// it, whatever hangs.
func Kept(ctx context.Context, cfg Config) (_ time.Duration, err error) {
	conf, err := cfg.sarama()
	if err != nil {
		return 0, err
	}
	admin, err := sarama.NewClusterAdmin(cfg.Brokers, impatient(ctx, conf))
	if err != nil {
		return 0, unless(ctx, err)
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	topic := sarama.ConfigResource{
		Type: sarama.TopicResource, Name: cfg.Topic, ConfigNames: []string{"cleanup.policy", "retention.ms", "segment.ms"},
	}
	described, err := admin.DescribeConfigs([]*sarama.ConfigResource{&topic}, sarama.DescribeConfigsOptions{})
	if err != nil {
		return 0, unless(ctx, fmt.Errorf("ask for the settings of topic %s: %w", cfg.Topic, err))
	}
	var entries []sarama.ConfigEntry
	for _, of := range described {
		if of.ErrorCode != sarama.ErrNoError {
			return 0, fmt.Errorf("ask for the settings of topic %s: %w", cfg.Topic, of.ErrorCode)
		}
		entries = append(entries, of.Configs...)
	}
	return kept(entries)
}

func kept(entries []sarama.ConfigEntry) (time.Duration, error) {
	var all time.Duration
	found := 0
	for _, e := range entries {
		switch e.Name {
		case "cleanup.policy":
			if e.Value == "compact" {
				return Forever, nil
			}
		case "retention.ms", "segment.ms":
			ms, err := strconv.ParseInt(e.Value, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("setting %s of the topic: %w", e.Name, err)
			}
			const longest = int64(100*365*24*time.Hour) / int64(time.Millisecond)
			if ms < 0 || ms > longest {
				return Forever, nil
			}
			all += time.Duration(ms) * time.Millisecond
			found++
		}
	}
	if found < 2 {
		return 0, errors.New("the broker does not tell retention.ms and segment.ms of the topic")
	}
	return all, nil
}
