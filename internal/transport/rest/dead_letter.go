package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/usecase/deadletters"
)

// DeadLetters is the use case of package deadletters. Its errors match the
// sentinels of packages deadletters and courier.
type DeadLetters interface {
	// Page returns at most limit dead letters with an id above after, lowest first.
	Page(ctx context.Context, f deadletters.Filter, after int64, limit int) ([]deadletters.Summary, error)
	Get(ctx context.Context, id int64) (deadletters.DeadLetter, error)
	Redrive(ctx context.Context, id int64) (deadletters.RecordPosition, error)
	Discard(ctx context.Context, id int64) error
	Edit(ctx context.Context, id int64, change func([]byte) ([]byte, error)) (payload []byte, changed bool, err error)
}

type deadLettersAPI struct{ deadLetters DeadLetters }

func (a *api) registerDeadLetters(use DeadLetters) {
	const path = versioned + "/dead-letters"
	d := deadLettersAPI{use}
	register(a, read, huma.Operation{
		OperationID: "list-dead-letters", Method: http.MethodGet, Path: path, Tags: []string{"dead letters"},
		Summary:     "List dead letters, oldest first",
		Description: "The pending ones, or those redriven or discarded, which are kept for 30 days.",
		Errors:      []int{http.StatusServiceUnavailable},
	}, d.list)
	register(a, read, huma.Operation{
		OperationID: "get-dead-letter", Method: http.MethodGet, Path: path + "/{dead_letter_id}", Tags: []string{"dead letters"},
		Summary: "Get a dead letter with its record", Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, d.get)
	changes := []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}
	register(a, operate, huma.Operation{
		OperationID: "redrive-dead-letter", Method: http.MethodPost, Path: path + "/{dead_letter_id}/redrive", Tags: []string{"dead letters"},
		Summary: "Publish the record to the order topic again",
		Description: "Responds when every in-sync replica of Kafka has the record. If it fails again, it becomes a new dead letter. " +
			"403 `kafka_forbidden`: the Kafka user of the service may not write to the topic; the command `service-courier deadletters redrive` may. " +
			"409: the dead letter is already handled, has changed, or was redriven too often. After a 503 the record may or may not be published; repeating the request is safe.",
		Errors: changes,
	}, d.redrive)
	register(a, operate, huma.Operation{
		OperationID: "discard-dead-letter", Method: http.MethodPost, Path: path + "/{dead_letter_id}/discard", Tags: []string{"dead letters"},
		Summary:     "Discard a dead letter: its event is never processed",
		Description: "409: the dead letter is already handled, or has changed.",
		Errors:      changes,
	}, d.discard)
	register(a, operate, huma.Operation{
		OperationID: "edit-dead-letter", Method: http.MethodPut, Path: path + "/{dead_letter_id}/payload", Tags: []string{"dead letters"},
		Summary:     "Replace the payload of a dead letter",
		Description: "The original payload is kept, and the count of redrives begins again. Redrive the dead letter to publish the new payload. 409: the dead letter is already handled, or has changed.",
		Errors:      changes,
	}, d.edit)
}

type deadLetterSummary struct {
	ID           int64     `json:"id" minimum:"1" example:"12"`
	Status       string    `json:"status" enum:"pending,redriven,discarded"`
	Partition    int32     `json:"partition" minimum:"0"`
	Offset       int64     `json:"offset" minimum:"0"`
	CreatedAt    time.Time `json:"created_at" doc:"when processing the record failed"`
	Reason       string    `json:"reason" example:"not_json"`
	Redrives     int       `json:"redrives" minimum:"0" doc:"how often the record was redriven before"`
	Edited       bool      `json:"edited"`
	PayloadBytes int       `json:"payload_bytes" minimum:"0"`
	Preview      string    `json:"preview" doc:"first characters of the payload; invalid UTF-8 is replaced"`
}

func newDeadLetterSummary(s deadletters.Summary) deadLetterSummary {
	return deadLetterSummary{
		s.ID, string(s.Status), s.Partition, s.Offset, s.CreatedAt.UTC(), s.Reason, s.Redrives, s.Edited, s.Size,
		strings.ToValidUTF8(string(s.Preview), "\uFFFD"),
	}
}

type deadLettersInput struct {
	PageInput

	Reason string `query:"reason" enum:"not_json,bad_order_id,refused_by_database,processing_panicked,undecodable" doc:"list only these dead letters"`
	State  string `query:"state" enum:"pending,handled" default:"pending" doc:"pending, or redriven and discarded"`
}

func (d deadLettersAPI) list(ctx context.Context, in *deadLettersInput) (*output[page[deadLetterSummary]], error) {
	after, err := decodeCursor[idKey](in.Cursor)
	if err != nil {
		return nil, err
	}
	filter := deadletters.Filter{Reason: in.Reason, Handled: in.State == "handled"}
	found, err := d.deadLetters.Page(ctx, filter, after.ID, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return respond(newPage(found, in.Limit, newDeadLetterSummary, func(s deadletters.Summary) idKey { return idKey{s.ID} }), nil)
}

// DeadLetterInput is the id of a dead letter in the path.
type DeadLetterInput struct {
	DeadLetterID int64 `path:"dead_letter_id" minimum:"1" example:"12"`
}

// deadLetterBody has bytes in base64, null where the record has none.
type deadLetterBody struct {
	ID         int64          `json:"id" minimum:"1" example:"12"`
	Status     string         `json:"status" enum:"pending,redriven,discarded"`
	Topic      string         `json:"topic"`
	Partition  int32          `json:"partition" minimum:"0"`
	Offset     int64          `json:"offset" minimum:"0"`
	ProducedAt time.Time      `json:"produced_at"`
	CreatedAt  time.Time      `json:"created_at" doc:"when processing the record failed"`
	HandledAt  time.Time      `json:"handled_at,omitzero" doc:"when the dead letter was redriven or discarded"`
	EditedAt   time.Time      `json:"edited_at,omitzero"`
	Reason     string         `json:"reason" example:"not_json"`
	Detail     string         `json:"detail" doc:"why processing failed"`
	Redrives   int            `json:"redrives" minimum:"0" doc:"how often the record was redriven before"`
	Key        []byte         `json:"key" nullable:"true"`
	Payload    []byte         `json:"payload" nullable:"true" doc:"with the last edit"`
	Original   []byte         `json:"original_payload" nullable:"true" doc:"as read from the topic"`
	Headers    []recordHeader `json:"headers" nullable:"false"`
}

type recordHeader struct {
	Key   []byte `json:"key" nullable:"true"`
	Value []byte `json:"value" nullable:"true"`
}

func (d deadLettersAPI) get(ctx context.Context, in *DeadLetterInput) (*output[deadLetterBody], error) {
	l, err := d.deadLetters.Get(ctx, in.DeadLetterID)
	body := deadLetterBody{
		l.ID, string(l.Status), l.Topic, l.Partition, l.Offset, l.ProducedAt.UTC(), l.CreatedAt.UTC(), l.HandledAt.UTC(), l.EditedAt.UTC(),
		l.Reason, l.Detail, l.Redrives, l.Key, l.Payload, l.Original, make([]recordHeader, len(l.Headers)), // never null
	}
	for i, h := range l.Headers {
		body.Headers[i] = recordHeader(h)
	}
	return respond(body, err)
}

type redriven struct {
	ID        int64  `json:"id" minimum:"1"`
	Status    string `json:"status" enum:"redriven"`
	Partition int32  `json:"partition" minimum:"0" doc:"of the republished record"`
	Offset    int64  `json:"offset" minimum:"0"`
}

func (d deadLettersAPI) redrive(ctx context.Context, in *DeadLetterInput) (*output[redriven], error) {
	at, err := d.deadLetters.Redrive(ctx, in.DeadLetterID)
	return respond(redriven{in.DeadLetterID, string(deadletters.Redriven), at.Partition, at.Offset}, err)
}

type discarded struct {
	ID     int64  `json:"id" minimum:"1"`
	Status string `json:"status" enum:"discarded"`
}

func (d deadLettersAPI) discard(ctx context.Context, in *DeadLetterInput) (*output[discarded], error) {
	return respond(discarded{in.DeadLetterID, string(deadletters.Discarded)}, d.deadLetters.Discard(ctx, in.DeadLetterID))
}

type editInput struct {
	DeadLetterInput

	Body newPayload
}

type newPayload struct {
	Payload []byte `json:"payload" doc:"in base64" example:"e30="`
}

func (d deadLettersAPI) edit(ctx context.Context, in *editInput) (*output[deadLetterBody], error) {
	if _, _, err := d.deadLetters.Edit(ctx, in.DeadLetterID, func([]byte) ([]byte, error) { return in.Body.Payload, nil }); err != nil {
		return nil, err
	}
	return d.get(ctx, &in.DeadLetterInput)
}
