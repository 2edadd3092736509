package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/IBM/sarama"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/orderevent"
)

func record(value string) []*sarama.ConsumerMessage {
	return []*sarama.ConsumerMessage{{Topic: topic, Partition: 3, Offset: 42, Value: []byte(value)}}
}

func TestDecode(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	tests := map[string]struct {
		value, id string
		class     courier.Class
		reason    string // of the dead letter
	}{
		"an event":                   {`{"order_id":"a-1","status":"deleted","created_at":"2026-01-02T03:04:05Z"}`, "a-1", courier.ClassCancelled, ""},
		"unknown status":             {`{"order_id":"a-1","status":"refunded"}`, "a-1", courier.ClassUnknown, ""},
		"no status":                  {`{"order_id":"a-1"}`, "a-1", courier.ClassUnknown, ""},
		"more fields":                {`{"order_id":"a-1","status":"created","x":{"y":[1,2]}}`, "a-1", courier.ClassActive, ""},
		"a bad time":                 {`{"order_id":"a-1","status":"created","created_at":"yesterday"}`, "a-1", courier.ClassActive, ""},
		"the last of duplicate keys": {`{"order_id":"a-1","order_id":"a-2","status":"created"}`, "a-2", courier.ClassActive, ""},
		"upper case":                 {`{"ORDER_ID":"a-1","Status":"created"}`, "a-1", courier.ClassActive, ""},
		"empty":                      {``, "", 0, deadletters.NotJSON},
		"null":                       {`null`, "", 0, deadletters.BadOrderID},
		"not an object":              {`"a-1"`, "", 0, deadletters.NotJSON},
		"truncated":                  {`{"order_id":"a-1"`, "", 0, deadletters.NotJSON},
		"two values":                 {`{"order_id":"a-1"} {}`, "", 0, deadletters.NotJSON},
		"deep":                       {strings.Repeat("[", 100_000), "", 0, deadletters.NotJSON},
		"deep inside":                {`{"order_id":"a-1","x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, "", 0, deadletters.NotJSON},
		"id is a number":             {`{"order_id":1}`, "", 0, deadletters.BadOrderID},
		"status is a list":           {`{"order_id":"a-1","status":["created"]}`, "a-1", courier.ClassUnknown, ""},
		"status is a number":         {`{"order_id":"a-1","status":7}`, "a-1", courier.ClassUnknown, ""},
		"no id":                      {`{"status":"created"}`, "", 0, deadletters.BadOrderID},
		"dots":                       {`{"order_id":".."}`, "", 0, deadletters.BadOrderID},
		"slash":                      {`{"order_id":"a/../b"}`, "", 0, deadletters.BadOrderID},
		"escaped":                    {`{"order_id":"%2e%2e"}`, "", 0, deadletters.BadOrderID},
		"query":                      {`{"order_id":"a?b#c"}`, "", 0, deadletters.BadOrderID},
		"line break":                 {`{"order_id":"a\r\nHost: evil"}`, "", 0, deadletters.BadOrderID},
		"NUL":                        {`{"order_id":"a\u0000"}`, "", 0, deadletters.BadOrderID},
		"bad UTF-8":                  {"{\"order_id\":\"a\xff\"}", "", 0, deadletters.BadOrderID},
		"very long":                  {`{"order_id":"` + long + `"}`, "", 0, deadletters.BadOrderID},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := decode(record(tt.value), nil)
			if tt.reason == "" {
				if len(b.DeadLetters) != 0 || len(b.Hints) != 1 || string(b.Hints[0].OrderID) != tt.id || b.Hints[0].EventClass != tt.class || b.Hints[0].Source != "3@42" {
					t.Errorf("decoded %+v", b)
				}
				return
			}
			if len(b.Hints) != 0 || len(b.DeadLetters) != 1 || b.DeadLetters[0].Reason != tt.reason || string(b.DeadLetters[0].Payload) != tt.value {
				t.Fatalf("hints %+v, dead letters %.200v; want a dead letter: %s", b.Hints, b.DeadLetters, tt.reason)
			}
			if d := b.DeadLetters[0].Detail; d == "" || len(d) > 300 {
				t.Errorf("detail %.400q", d)
			}
		})
	}
}

func TestRefusedOrderBecomesDeadLetter(t *testing.T) {
	records := append(record(`{"order_id":"bad","status":"created"}`), record(`{"order_id":"good","status":"created"}`)...)
	for reason, cause := range map[string]error{
		deadletters.RefusedByDatabase:  errors.New("violates a constraint"),
		deadletters.ProcessingPanicked: fmt.Errorf("%w: index out of range", orderevent.ErrPanicked),
	} {
		b := decode(records, map[courier.OrderID]error{"bad": cause})
		if len(b.Hints) != 1 || b.Hints[0].OrderID != "good" || len(b.DeadLetters) != 1 || b.DeadLetters[0].Reason != reason {
			t.Errorf("%v: decoded %+v", cause, b)
		}
	}
}

// FuzzDecode: any record becomes one hint with a valid id, or one dead letter with its
// bytes.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"order_id":"a","status":"created","created_at":"2026-01-02T03:04:05Z"}`, `null`, `[]`, `{`, "\xff\x00",
		`{"order_id":"a","order_id":7}`, `{"order_id":"..\/"}`, `{"Order_Id":"x","status":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		b := decode(record(string(value)), nil)
		if len(b.Hints)+len(b.DeadLetters) != 1 {
			t.Fatalf("%d hints and %d dead letters of one record", len(b.Hints), len(b.DeadLetters))
		}
		for _, h := range b.Hints {
			if _, err := courier.ParseOrderID(string(h.OrderID)); err != nil {
				t.Errorf("unsafe id %q", h.OrderID)
			}
		}
		for _, l := range b.DeadLetters {
			if string(l.Payload) != string(value) || l.Reason == "" || !utf8.ValidString(l.Reason) {
				t.Errorf("dead letter %+v of %q", l, value)
			}
		}
	})
}

// TestTraceparentIsNotCopied: decoding allocates nothing for it.
func TestTraceparentIsNotCopied(t *testing.T) {
	r := &sarama.ConsumerMessage{Headers: []*sarama.RecordHeader{
		{Key: []byte("other"), Value: []byte("x")}, {Key: []byte("traceparent"), Value: []byte("00-ab-cd-01")},
	}}
	if got := traceparent(r); string(got) != "00-ab-cd-01" {
		t.Errorf("traceparent %q", got)
	}
	if n := testing.AllocsPerRun(100, func() { _ = traceparent(r) }); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
	if traceparent(&sarama.ConsumerMessage{}) != nil {
		t.Error("traceparent without a header")
	}
}

// TestBadOrderIDDetail: the detail says what is wrong with the id.
func TestBadOrderIDDetail(t *testing.T) {
	for value, want := range map[string]string{
		`{"status":"created"}`: "bad_order_id: invalid order id: order_id is absent or null",
		`null`:                 "bad_order_id: invalid order id: order_id is absent or null",
		`{"order_id":null}`:    "bad_order_id: invalid order id: order_id is absent or null",
		`{"order_id":5}`:       "bad_order_id: invalid order id: order_id is not a string",
		`{"order_id":""}`:      "bad_order_id: invalid order id: empty",
	} {
		if got := DeadLetterReason([]byte(value)); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}
