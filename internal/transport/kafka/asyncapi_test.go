package kafka

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/usecase/outbox"
)

// schema is what the document uses of JSON Schema.
type schema struct {
	Type       any // a name or a list of names
	Enum       []any
	Required   []string
	Properties map[string]schema
}

// types returns the names of Type.
func (s schema) types() (names []string) {
	if list, ok := s.Type.([]any); ok {
		for _, name := range list {
			names = append(names, name.(string))
		}
		return names
	}
	return []string{s.Type.(string)}
}

// accepts reports whether s describes exactly the fields of value, with their types and
// values. Only a traceparent may be missing.
func (s schema) accepts(value map[string]any) error {
	names := slices.Sorted(maps.Keys(value))
	described, required := slices.Sorted(maps.Keys(s.Properties)), slices.Sorted(slices.Values(s.Required))
	always := slices.DeleteFunc(slices.Clone(described), func(name string) bool { return name == "traceparent" })
	if !slices.Equal(required, always) || !slices.Equal(names, described) && !slices.Equal(names, always) {
		return fmt.Errorf("fields %v, described %v, required %v", names, described, s.Required)
	}
	for name, v := range value {
		p := s.Properties[name]
		is := "null"
		switch v.(type) {
		case string:
			is = "string"
		case float64:
			is = "integer"
		}
		if !slices.Contains(p.types(), is) || p.Enum != nil && !slices.Contains(p.Enum, v) {
			return fmt.Errorf("%s is %v: not one of %v %v", name, v, p.types(), p.Enum)
		}
	}
	return nil
}

// TestAsyncAPIDescribesEveryEvent: the document has exactly the fields, headers and types
// that are published, and docs/asyncapi.json is the same document.
func TestAsyncAPIDescribesEveryEvent(t *testing.T) {
	documented, err := os.ReadFile("../../../docs/asyncapi.json")
	if err != nil || !bytes.Equal(documented, AsyncAPI) {
		t.Errorf("docs/asyncapi.json is not up to date (make docs): %v", err)
	}
	var doc struct {
		AsyncAPI   string
		Components struct {
			Schemas  map[string]schema
			Messages map[string]struct {
				Examples []struct{ Headers, Payload map[string]any }
			}
		}
	}
	if err := json.Unmarshal(AsyncAPI, &doc); err != nil || doc.AsyncAPI != "3.0.0" {
		t.Fatalf("AsyncAPI %q: %v", doc.AsyncAPI, err)
	}
	headers, payload := doc.Components.Schemas["headers"], doc.Components.Schemas["assignmentChanged"]
	types := []outbox.Type{
		outbox.TypeQueued, outbox.TypeAssigned, outbox.TypeUnassigned, outbox.TypeExpired, outbox.TypeReleased, outbox.TypeCompleted, outbox.TypeCancelled,
	}
	if n := len(payload.Properties["type"].Enum); n != len(types) {
		t.Errorf("%d types are described, want %d", n, len(types))
	}
	check := func(h, body map[string]any) {
		t.Helper()
		if err := headers.accepts(h); err != nil {
			t.Errorf("headers: %v", err)
		}
		if err := payload.accepts(body); err != nil {
			t.Errorf("payload: %v", err)
		}
	}
	for _, kind := range types {
		for _, e := range []outbox.Event{courierEvent("a", 1), {OrderID: "b", Sequence: 2}} {
			e.Type = kind
			h, body := onTheWire(t, e, nil)
			check(h, body)
			h, body = onTheWire(t, e, traceHeaders(traced(t.Context())))
			check(h, body)
		}
	}
	for _, example := range doc.Components.Messages["assignmentChanged"].Examples {
		check(example.Headers, example.Payload)
	}
}

func onTheWire(t *testing.T, e outbox.Event, trace []*sarama.RecordHeader) (headers, body map[string]any) {
	t.Helper()
	r, err := newEventRecord(e, trace)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(r.Value, &body); err != nil {
		t.Fatal(err)
	}
	headers = make(map[string]any)
	for _, h := range r.Headers {
		headers[string(h.Key)] = string(h.Value)
	}
	return headers, body
}

// TestPublishedFieldsAreOnlyAdded: renaming or removing one breaks consumers.
func TestPublishedFieldsAreOnlyAdded(t *testing.T) {
	var fields []string
	for f := range reflect.TypeFor[eventBody]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	released := []string{"event_id", "type", "order_id", "courier_id", "transport_type", "deadline", "occurred_at", "reason", "sequence"}
	if diff := cmp.Diff(released, fields[:min(len(fields), len(released))]); diff != "" {
		t.Errorf("fields (-released +published):\n%s", diff)
	}
}
