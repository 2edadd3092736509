package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/usecase/deadletters"
)

// DeadLetters is the use case of the records that could not be processed. Its
// errors match the sentinels of deadletters and of the domain.
type DeadLetters interface {
	// Page returns at most limit letters with an id above after, lowest first.
	Page(ctx context.Context, f deadletters.Filter, after int64, limit int) ([]deadletters.Head, error)
	Show(ctx context.Context, id int64) (deadletters.Letter, error)
	Redrive(ctx context.Context, id int64) (deadletters.Position, error)
	Drop(ctx context.Context, id int64) error
}

type deadLettersAPI struct{ letters DeadLetters }

func (a *api) registerDeadLetters(letters DeadLetters) {
	const path = versioned + "/dead-letters"
	d := deadLettersAPI{letters}
	register(a, read, huma.Operation{
		OperationID: "list-dead-letters", Method: http.MethodGet, Path: path, Tags: []string{"dead letters"},
		Summary:     "List the records that could not be processed, those that came first first",
		Description: "Those that wait for a person, or those that were redriven or dropped, which are kept for 30 days.",
		Errors:      []int{http.StatusServiceUnavailable},
	}, d.list)
	register(a, read, huma.Operation{
		OperationID: "get-dead-letter", Method: http.MethodGet, Path: path + "/{letter_id}", Tags: []string{"dead letters"},
		Summary: "Get all that is known of one", Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, d.get)
	changes := []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}
	register(a, operate, huma.Operation{
		OperationID: "redrive-dead-letter", Method: http.MethodPost, Path: path + "/{letter_id}/redrive", Tags: []string{"dead letters"},
		Summary: "Send its record through the order topic once more",
		Description: "Answers when every in-sync replica of Kafka has the record. One that is bad again becomes a new letter. " +
			"403 `kafka_forbidden`: Kafka does not let this service write; the operator's command may. 409: it is handled already, somebody changed it meanwhile, or it was redriven too often. After a 503 it is not known whether it was published; to do it again does no harm.",
		Errors: changes,
	}, d.redrive)
	register(a, operate, huma.Operation{
		OperationID: "drop-dead-letter", Method: http.MethodPost, Path: path + "/{letter_id}/drop", Tags: []string{"dead letters"},
		Summary:     "Give it up: its event is never processed",
		Description: "409: it is handled already, or somebody changed it meanwhile.",
		Errors:      changes,
	}, d.drop)
}

// headBody is what a list shows of a letter.
type headBody struct {
	ID           int64     `json:"id" minimum:"1" example:"12"`
	Status       string    `json:"status" enum:"waiting,redriven,dropped"`
	Partition    int32     `json:"partition" minimum:"0"`
	Offset       int64     `json:"offset" minimum:"0"`
	CreatedAt    time.Time `json:"created_at" doc:"when it was found to be dead"`
	Reason       string    `json:"reason" example:"not_json"`
	Rounds       int       `json:"rounds" minimum:"0" doc:"how often it was redriven before"`
	Edited       bool      `json:"edited"`
	PayloadBytes int       `json:"payload_bytes" minimum:"0"`
	Begins       string    `json:"begins" doc:"the first characters of the payload; what is no text is replaced"`
}

func newHeadBody(h deadletters.Head) headBody {
	return headBody{
		h.ID, string(h.Status), h.Partition, h.Offset, h.CreatedAt.UTC(), h.Reason, h.Rounds, h.Edited, h.Size,
		strings.ToValidUTF8(string(h.Begins), "\uFFFD"),
	}
}

type deadLettersInput struct {
	PageInput

	Reason string `query:"reason" enum:"not_json,bad_order_id,refused_by_database" doc:"only those with this reason"`
	State  string `query:"state" enum:"waiting,handled" default:"waiting" doc:"those that wait for a person, or those redriven or dropped"`
}

// letterKey is where a page of letters ends.
type letterKey struct {
	ID int64 `json:"id"`
}

type deadLettersOutput struct{ Body pageBody[headBody] }

func (d deadLettersAPI) list(ctx context.Context, in *deadLettersInput) (*deadLettersOutput, error) {
	after, err := decodeCursor[letterKey](in.Cursor)
	if err != nil {
		return nil, err
	}
	filter := deadletters.Filter{Reason: in.Reason, Handled: in.State == "handled"}
	found, err := d.letters.Page(ctx, filter, after.ID, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return &deadLettersOutput{newPage(found, in.Limit, newHeadBody, func(h deadletters.Head) letterKey { return letterKey{h.ID} })}, nil
}

// LetterInput names a dead letter in the path; embed it.
type LetterInput struct {
	LetterID int64 `path:"letter_id" minimum:"1" example:"12"`
}

// letterBody is all that is known of a letter. Bytes are base64, absent ones null.
type letterBody struct {
	ID         int64        `json:"id" minimum:"1" example:"12"`
	Status     string       `json:"status" enum:"waiting,redriven,dropped"`
	Topic      string       `json:"topic"`
	Partition  int32        `json:"partition" minimum:"0"`
	Offset     int64        `json:"offset" minimum:"0"`
	ProducedAt time.Time    `json:"produced_at"`
	CreatedAt  time.Time    `json:"created_at" doc:"when it was found to be dead"`
	HandledAt  *time.Time   `json:"handled_at,omitempty" doc:"when it was redriven or dropped"`
	EditedAt   *time.Time   `json:"edited_at,omitempty"`
	Reason     string       `json:"reason" example:"not_json"`
	Detail     string       `json:"detail" doc:"what exactly was wrong"`
	Rounds     int          `json:"rounds" minimum:"0" doc:"how often it was redriven before"`
	Key        []byte       `json:"key" nullable:"true"`
	Payload    []byte       `json:"payload" nullable:"true" doc:"as edited last"`
	Original   []byte       `json:"original_payload" nullable:"true" doc:"as it was in the topic"`
	Headers    []headerBody `json:"headers" nullable:"false"`
}

type headerBody struct {
	Key   []byte `json:"key" nullable:"true"`
	Value []byte `json:"value" nullable:"true"`
}

type letterOutput struct{ Body letterBody }

func (d deadLettersAPI) get(ctx context.Context, in *LetterInput) (*letterOutput, error) {
	l, err := d.letters.Show(ctx, in.LetterID)
	if err != nil {
		return nil, err
	}
	body := letterBody{
		l.ID, string(l.Status), l.Topic, l.Partition, l.Offset, l.ProducedAt.UTC(), l.CreatedAt.UTC(), utcOrNull(l.HandledAt), utcOrNull(l.EditedAt),
		l.Reason, l.Detail, l.Rounds, l.Key, l.Payload, l.Original, make([]headerBody, len(l.Headers)), // never null
	}
	for i, h := range l.Headers {
		body.Headers[i] = headerBody(h)
	}
	return &letterOutput{body}, nil
}

type redrivenBody struct {
	ID        int64  `json:"id" minimum:"1"`
	Status    string `json:"status" enum:"redriven"`
	Partition int32  `json:"partition" minimum:"0" doc:"where its record is now"`
	Offset    int64  `json:"offset" minimum:"0"`
}

type redrivenOutput struct{ Body redrivenBody }

func (d deadLettersAPI) redrive(ctx context.Context, in *LetterInput) (*redrivenOutput, error) {
	at, err := d.letters.Redrive(ctx, in.LetterID)
	if err != nil {
		return nil, err
	}
	return &redrivenOutput{redrivenBody{in.LetterID, string(deadletters.Redriven), at.Partition, at.Offset}}, nil
}

type droppedBody struct {
	ID     int64  `json:"id" minimum:"1"`
	Status string `json:"status" enum:"dropped"`
}

type droppedOutput struct{ Body droppedBody }

func (d deadLettersAPI) drop(ctx context.Context, in *LetterInput) (*droppedOutput, error) {
	if err := d.letters.Drop(ctx, in.LetterID); err != nil {
		return nil, err
	}
	return &droppedOutput{droppedBody{in.LetterID, string(deadletters.Dropped)}}, nil
}
