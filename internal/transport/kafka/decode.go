package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/orderevent"
)

// event is a record of the topic: {"order_id","status","created_at"}. The time of
// publishing is not used, and any status is accepted: the fetched order decides.
type event struct {
	OrderID any `json:"order_id"`
	Status  any `json:"status"`
}

// id returns the order id, or courier.ErrBadOrderID.
func (e event) id() (courier.OrderID, error) {
	switch id := e.OrderID.(type) {
	case nil:
		return "", fmt.Errorf("%w: order_id is absent or null", courier.ErrBadOrderID)
	case string:
		return courier.ParseOrderID(id)
	default:
		return "", fmt.Errorf("%w: order_id is not a string", courier.ErrBadOrderID)
	}
}

// class returns the class of the status in the event.
func (e event) class() courier.Class {
	s, _ := e.Status.(string)
	return courier.ClassOf(s)
}

// decode turns each record into a hint or a dead letter. Records of orders that
// can never be saved become dead letters.
func decode(records []*sarama.ConsumerMessage, refused map[courier.OrderID]error) orderevent.Batch {
	b := orderevent.Batch{Hints: make([]orderevent.Hint, 0, len(records))}
	for _, r := range records {
		var e event
		if err := json.Unmarshal(r.Value, &e); err != nil {
			b.DeadLetters = append(b.DeadLetters, deadLetter(r, deadletters.NotJSON, err))
			continue
		}
		id, err := e.id()
		if err != nil {
			b.DeadLetters = append(b.DeadLetters, deadLetter(r, deadletters.BadOrderID, err))
			continue
		}
		if why, ok := refused[id]; ok {
			reason := deadletters.RefusedByDatabase
			if errors.Is(why, orderevent.ErrPanicked) {
				reason = deadletters.ProcessingPanicked
			}
			b.DeadLetters = append(b.DeadLetters, deadLetter(r, reason, why))
			continue
		}
		b.Hints = append(b.Hints, orderevent.Hint{
			OrderID: id, EventClass: e.class(), Source: source(r), Trace: traceparent(r), Received: r.BlockTimestamp,
		})
	}
	return b
}

// traceparent returns the header without copying it.
func traceparent(r *sarama.ConsumerMessage) []byte {
	for _, h := range r.Headers {
		if string(h.Key) == "traceparent" {
			return h.Value
		}
	}
	return nil
}

// source names a record in the journal, as partition@offset.
func source(r *sarama.ConsumerMessage) string {
	return strconv.FormatInt(int64(r.Partition), 10) + "@" + strconv.FormatInt(r.Offset, 10)
}

func deadLetter(r *sarama.ConsumerMessage, reason string, err error) orderevent.DeadLetter {
	headers := make([]deadletters.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = deadletters.Header{Key: h.Key, Value: h.Value}
	}
	return orderevent.DeadLetter{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, ProducedAt: r.Timestamp,
		Key: r.Key, Payload: r.Value, Headers: headers, Reason: reason, Detail: err.Error(),
	}
}

// undecodable is the dead letter of a whole batch.
func undecodable(topic string, partition int32, b batchHeader, err error) *orderevent.DeadLetter {
	return &orderevent.DeadLetter{
		Topic: topic, Partition: partition, Offset: b.first, ProducedAt: b.at, Reason: deadletters.Undecodable,
		Detail: fmt.Sprintf("batch of offsets %d to %d, %d bytes: %v", b.first, b.last, b.size, err),
	}
}

// DeadLetterReason returns why a record with this payload would become a dead
// letter, or "" if it can be decoded.
func DeadLetterReason(payload []byte) string {
	b := decode([]*sarama.ConsumerMessage{{Value: payload}}, nil)
	if len(b.DeadLetters) == 0 {
		return ""
	}
	return b.DeadLetters[0].Reason + ": " + b.DeadLetters[0].Detail
}
