package kafka

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/orderevent"
)

// event is a record of the topic: {"order_id","status","created_at"}. The time
// is of publishing and decides nothing, so it is not read; nor does the status
// have to be one, since the GET decides.
type event struct {
	OrderID any `json:"order_id"`
	Status  any `json:"status"`
}

// id returns the order id, or courier.ErrBadOrderID.
func (e event) id() (courier.OrderID, error) {
	s, ok := e.OrderID.(string)
	if !ok {
		return "", fmt.Errorf("%w: it is no string", courier.ErrBadOrderID)
	}
	return courier.ParseOrderID(s)
}

// said returns what the event claims of its order.
func (e event) said() courier.Class {
	s, _ := e.Status.(string)
	return courier.ClassOf(s)
}

// decode turns records into a batch: a hint each, or a dead letter. Records of
// orders that the database has refused become dead letters too.
func decode(records []*sarama.ConsumerMessage, refused map[courier.OrderID]error) orderevent.Batch {
	b := orderevent.Batch{Hints: make([]orderevent.Hint, 0, len(records))}
	for _, r := range records {
		var e event
		if err := json.Unmarshal(r.Value, &e); err != nil {
			b.Letters = append(b.Letters, letter(r, deadletters.NotJSON, err))
			continue
		}
		id, err := e.id()
		if err != nil {
			b.Letters = append(b.Letters, letter(r, deadletters.BadOrderID, err))
			continue
		}
		if why, bad := refused[id]; bad {
			b.Letters = append(b.Letters, letter(r, deadletters.RefusedByDatabase, why))
			continue
		}
		b.Hints = append(b.Hints, orderevent.Hint{
			OrderID: id, Said: e.said(), Source: source(r), Trace: traceparent(r), Received: r.BlockTimestamp,
		})
	}
	return b
}

// traceparent returns the header of that name, shared with the record.
func traceparent(r *sarama.ConsumerMessage) []byte {
	for _, h := range r.Headers {
		if string(h.Key) == "traceparent" {
			return h.Value
		}
	}
	return nil
}

// source names a record in the journal: partition@offset.
func source(r *sarama.ConsumerMessage) string {
	return strconv.FormatInt(int64(r.Partition), 10) + "@" + strconv.FormatInt(r.Offset, 10)
}

func letter(r *sarama.ConsumerMessage, reason string, err error) orderevent.DeadLetter {
	headers := make([]orderevent.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = orderevent.Header{Key: h.Key, Value: h.Value}
	}
	return orderevent.DeadLetter{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, ProducedAt: r.Timestamp,
		Key: r.Key, Payload: r.Value, Headers: headers, Reason: reason, Detail: err.Error(),
	}
}
