package cli

import (
	"testing"

	"service-courier/internal/usecase/deadletters"
)

// TestPayloadStart: JSON of several lines is readable on one; control codes are escaped.
func TestPayloadStart(t *testing.T) {
	for payload, want := range map[string]string{
		"{\n  \"order_id\": 5\n}\n":        `{ "order_id": 5 }`,
		"{\"order_id\":\"a\x1b[31m\\\"\"}": `{"order_id":"a\x1b[31m\\""}`,
		"":                                 "(empty)",
	} {
		if got := payloadStart(deadletters.Summary{Size: len(payload), Preview: []byte(payload)}); got != want {
			t.Errorf("%q: %s, want %s", payload, got, want)
		}
	}
}
