package app

import (
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
