package app

import (
	"context"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/transport/kafka"
)

// kafkaConfig is what every Kafka client of the program goes by.
func kafkaConfig(c config.Config) kafka.Config {
	return kafka.Config{
		Brokers: c.KafkaBrokers, Topic: c.KafkaTopic, GroupID: c.KafkaGroupID,
		Security: kafka.Security{
			TLS: c.KafkaTLS, CAFile: c.KafkaTLSCAFile, CertFile: c.KafkaTLSCertFile, KeyFile: c.KafkaTLSKeyFile,
			Mechanism: c.KafkaSASLMechanism, Username: c.KafkaSASLUsername,
			Password: string(c.KafkaSASLPassword), PasswordFile: c.KafkaSASLPasswordFile,
		},
	}
}

// topicKeeps asks how long an event may still be read, on a deadline of its own.
func topicKeeps(cfg config.Config) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return kafka.Kept(ctx, kafkaConfig(cfg))
	}
}
