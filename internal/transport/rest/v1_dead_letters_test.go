package rest_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"service-courier/internal/usecase/deadletters"
)

// letters is f as the use case of dead letters.
type letters struct{ *fake }

func (l letters) Page(ctx context.Context, filter deadletters.Filter, after int64, limit int) ([]deadletters.Head, error) {
	l.asked = fmt.Sprintf("%+v after %d, %d", filter, after, limit)
	return l.heads, l.answer(ctx)
}

func (l letters) Show(ctx context.Context, id int64) (deadletters.Letter, error) {
	return deadletters.Letter{
		ID: id, Topic: "t", Partition: 1, Offset: 2, Reason: "not_json", Detail: "EOF", Payload: []byte("{"), Original: []byte("["),
		Headers: []deadletters.Header{{Key: []byte("k")}}, Status: deadletters.Waiting, EditedAt: time.Unix(0, 0).In(time.FixedZone("", 3600)),
	}, l.answer(ctx)
}

func (l letters) Redrive(ctx context.Context, _ int64) (deadletters.Position, error) {
	return deadletters.Position{Partition: 4, Offset: 5}, l.answer(ctx)
}

func (l letters) Drop(ctx context.Context, _ int64) error { return l.answer(ctx) }

func letterExchanges() []exchange {
	const path = "/api/v1/dead-letters"
	head := deadletters.Head{
		ID: 12, Partition: 1, Offset: 2, CreatedAt: time.Unix(0, 0), Reason: "not_json", Rounds: 3, Status: deadletters.Redriven,
		Edited: true, Begins: []byte("{\xff"), Size: 90,
	}
	const shown = `{"id":12,"status":"redriven","partition":1,"offset":2,"created_at":"1970-01-01T00:00:00Z","reason":"not_json","rounds":3,` +
		`"edited":true,"payload_bytes":90,"begins":"{` + "\uFFFD" + `"}`
	failing := func(verb string, err error, status int, code string) exchange {
		e := exchange{
			name: "letter: " + code, line: "POST " + path + "/12/" + verb, fake: fake{err: fmt.Errorf("letter 12: %w", err)},
			status: status, is: problemType, want: told(code),
		}
		if status == 503 {
			e.retry = "2"
		}
		return e
	}
	return []exchange{
		{name: "letters: none", line: "GET " + path, status: 200, is: jsonType, want: `{"items":[]}`},
		{
			name: "letters", line: "GET " + path + "?state=handled&reason=not_json&limit=1", fake: fake{heads: []deadletters.Head{head, head}},
			status: 200, is: jsonType, want: `{"items":[` + shown + `],"next_cursor":"eyJpZCI6MTJ9"}`,
		},
		{
			name: "letters: mistyped reason", line: "GET " + path + "?reason=foo", status: 422, is: problemType,
			want: invalid(`{"location":"query.reason","message":"expected value to be one of \"` + strings.Join(deadletters.Reasons, ", ") + `\""}`),
		},
		{
			name: "letters: forged cursor", line: "GET " + path + "?cursor=x", status: 422, is: problemType,
			want: invalid(`{"location":"query.cursor","message":"not a cursor of this list"}`),
		},
		{
			name: "letter", line: "GET " + path + "/12", status: 200, is: jsonType,
			want: `{"id":12,"status":"waiting","topic":"t","partition":1,"offset":2,"produced_at":"0001-01-01T00:00:00Z","created_at":"0001-01-01T00:00:00Z",` +
				`"edited_at":"1970-01-01T00:00:00Z","reason":"not_json","detail":"EOF","rounds":0,"key":null,"payload":"ew==","original_payload":"Ww==",` +
				`"headers":[{"key":"aw==","value":null}]}`,
		},
		{
			name: "letter: none", line: "GET " + path + "/12", fake: fake{err: deadletters.ErrNotFound},
			status: 404, is: problemType, want: told("dead_letter_not_found"),
		},
		{name: "letter: redriven", line: "POST " + path + "/12/redrive", status: 200, is: jsonType, want: `{"id":12,"status":"redriven","partition":4,"offset":5}`},
		{name: "letter: dropped", line: "POST " + path + "/12/drop", status: 200, is: jsonType, want: `{"id":12,"status":"dropped"}`},
		failing("redrive", deadletters.ErrHandled, 409, "dead_letter_handled"),
		failing("drop", deadletters.ErrChanged, 409, "dead_letter_changed"),
		failing("redrive", deadletters.ErrRoundsUsedUp, 409, "dead_letter_rounds_used_up"),
		failing("redrive", fmt.Errorf("%w: %w", deadletters.ErrNotPublished, deadletters.ErrForbidden), 403, "kafka_forbidden"),
		failing("redrive", deadletters.ErrNotPublished, 503, "kafka_unavailable"),
	}
}
