package rest_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"service-courier/internal/usecase/deadletters"
)

// fakeDeadLetters is the use case of dead letters.
type fakeDeadLetters struct{ *fake }

func (l fakeDeadLetters) Page(ctx context.Context, filter deadletters.Filter, after int64, limit int) ([]deadletters.Summary, error) {
	l.requested = fmt.Sprintf("%+v after %d, %d", filter, after, limit)
	return l.summaries, l.answer(ctx)
}

func (l fakeDeadLetters) Get(ctx context.Context, id int64) (deadletters.DeadLetter, error) {
	return deadletters.DeadLetter{
		ID: id, Topic: "t", Partition: 1, Offset: 2, Reason: "not_json", Detail: "EOF", Payload: []byte("{"), Original: []byte("["),
		Headers: []deadletters.Header{{Key: []byte("k")}}, Status: deadletters.Pending, EditedAt: time.Unix(0, 0).In(time.FixedZone("", 3600)),
	}, l.answer(ctx)
}

func (l fakeDeadLetters) Redrive(ctx context.Context, _ int64) (deadletters.RecordPosition, error) {
	return deadletters.RecordPosition{Partition: 4, Offset: 5}, l.answer(ctx)
}

func (l fakeDeadLetters) Discard(ctx context.Context, _ int64) error { return l.answer(ctx) }

func (l fakeDeadLetters) Edit(ctx context.Context, id int64, change func([]byte) ([]byte, error)) ([]byte, bool, error) {
	payload, _ := change(nil)
	l.requested = fmt.Sprintf("edit %d: %s", id, payload)
	return payload, true, l.answer(ctx)
}

func deadLetterExchanges() []exchange {
	const path = "/api/v1/dead-letters"
	head := deadletters.Summary{
		ID: 12, Partition: 1, Offset: 2, CreatedAt: time.Unix(0, 0), Reason: "not_json", Redrives: 3, Status: deadletters.Redriven,
		Edited: true, Preview: []byte("{\xff"), Size: 90,
	}
	const shown = `{"id":12,"status":"redriven","partition":1,"offset":2,"created_at":"1970-01-01T00:00:00Z","reason":"not_json","redrives":3,` +
		`"edited":true,"payload_bytes":90,"preview":"{` + "\uFFFD" + `"}`
	failing := func(verb string, err error, status int, code string) exchange {
		e := exchange{
			name: "dead letter: " + code, line: "POST " + path + "/12/" + verb, fake: fake{err: fmt.Errorf("dead letter 12: %w", err)},
			status: status, is: problemType, want: problemBody(code),
		}
		if status == 503 {
			e.retry = "2"
		}
		return e
	}
	return []exchange{
		{name: "dead letters: none", line: "GET " + path, status: 200, is: jsonType, want: `{"items":[]}`},
		{
			name: "dead letters", line: "GET " + path + "?state=handled&reason=not_json&limit=1", fake: fake{summaries: []deadletters.Summary{head, head}},
			status: 200, is: jsonType, want: `{"items":[` + shown + `],"next_cursor":"eyJpZCI6MTJ9"}`,
		},
		{
			name: "dead letters: mistyped reason", line: "GET " + path + "?reason=foo", status: 422, is: problemType,
			want: invalid(`{"location":"query.reason","message":"expected value to be one of \"` + strings.Join(deadletters.Reasons, ", ") + `\""}`),
		},
		{
			name: "dead letters: forged cursor", line: "GET " + path + "?cursor=x", status: 422, is: problemType,
			want: invalid(`{"location":"query.cursor","message":"not a cursor of this list"}`),
		},
		{
			name: "dead letter", line: "GET " + path + "/12", status: 200, is: jsonType,
			want: `{"id":12,"status":"pending","topic":"t","partition":1,"offset":2,"produced_at":"0001-01-01T00:00:00Z","created_at":"0001-01-01T00:00:00Z",` +
				`"edited_at":"1970-01-01T00:00:00Z","reason":"not_json","detail":"EOF","redrives":0,"key":null,"payload":"ew==","original_payload":"Ww==",` +
				`"headers":[{"key":"aw==","value":null}]}`,
		},
		{
			name: "dead letter: none", line: "GET " + path + "/12", fake: fake{err: deadletters.ErrNotFound},
			status: 404, is: problemType, want: problemBody("dead_letter_not_found"),
		},
		{name: "dead letter: redriven", line: "POST " + path + "/12/redrive", status: 200, is: jsonType, want: `{"id":12,"status":"redriven","partition":4,"offset":5}`},
		{name: "dead letter: discarded", line: "POST " + path + "/12/discard", status: 200, is: jsonType, want: `{"id":12,"status":"discarded"}`},
		{
			name: "dead letter: edited", line: "PUT " + path + "/12/payload", body: `{"payload":"ew=="}`, status: 200, is: jsonType,
			want: `{"id":12,"status":"pending","topic":"t","partition":1,"offset":2,"produced_at":"0001-01-01T00:00:00Z","created_at":"0001-01-01T00:00:00Z",` +
				`"edited_at":"1970-01-01T00:00:00Z","reason":"not_json","detail":"EOF","redrives":0,"key":null,"payload":"ew==","original_payload":"Ww==",` +
				`"headers":[{"key":"aw==","value":null}]}`,
		},
		failing("redrive", deadletters.ErrHandled, 409, "dead_letter_handled"),
		failing("discard", deadletters.ErrChanged, 409, "dead_letter_changed"),
		failing("redrive", deadletters.ErrRedriveLimit, 409, "dead_letter_redrive_limit"),
		failing("redrive", deadletters.ErrNoRecord, 409, "dead_letter_no_record"),
		failing("redrive", fmt.Errorf("%w: %w", deadletters.ErrNotPublished, deadletters.ErrForbidden), 403, "kafka_forbidden"),
		failing("redrive", deadletters.ErrNotPublished, 503, "kafka_unavailable"),
	}
}
