package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/deadletters"
)

// redriveTimeout bounds what is waited for Kafka, so that a request has an answer
// while its caller still waits.
const redriveTimeout = 4 * time.Second

// redriver is the letters of the API: a person redrives one seldom, so the
// connections to Kafka are made for each.
type redriver struct {
	*deadletters.Letters
	kafka kafka.Config
	log   *slog.Logger
}

var _ rest.DeadLetters = redriver{}

// Redrive implements rest.DeadLetters. A caller who leaves does not break it off:
// a record on its way is waited for.
func (r redriver) Redrive(ctx context.Context, id int64) (deadletters.Position, error) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), redriveTimeout)
	defer cancel()
	producer, err := kafka.NewProducer(bounded, r.kafka)
	if err != nil {
		return deadletters.Position{}, fmt.Errorf("%w: %w", deadletters.ErrNotPublished, err)
	}
	defer func() {
		if err := producer.Close(); err != nil { // what became of the letter is known by now
			r.log.InfoContext(ctx, "the connections to Kafka did not close as they should", slog.Any("error", err))
		}
	}()
	return r.RedriveOne(ctx, id, producer)
}

// Drop implements rest.DeadLetters.
func (r redriver) Drop(ctx context.Context, id int64) error { return r.DropOne(ctx, id) }
