package app

import (
	"context"
	"errors"
	"fmt"

	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/deadletters"
)

// redriver is the letters of the API: a person redrives one seldom, so the
// connections to Kafka are made for each.
type redriver struct {
	*deadletters.Letters
	kafka kafka.Config
}

var _ rest.DeadLetters = redriver{}

// Redrive implements rest.DeadLetters.
func (r redriver) Redrive(ctx context.Context, id int64) (at deadletters.Position, err error) {
	producer, err := kafka.NewProducer(r.kafka)
	if err != nil {
		return at, fmt.Errorf("%w: %w", deadletters.ErrNotPublished, err)
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	return r.RedriveOne(ctx, id, producer)
}

// Drop implements rest.DeadLetters.
func (r redriver) Drop(ctx context.Context, id int64) error { return r.DropOne(ctx, id) }
