package rest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/transport/rest"
)

// document is the part of an OpenAPI document that the tests use.
type document struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		Security    []any `json:"security"`
		RequestBody struct {
			Content map[string]struct {
				Schema struct {
					Ref string `json:"$ref"`
				} `json:"schema"`
			} `json:"content"`
		} `json:"requestBody"`
		Responses map[string]struct {
			Content map[string]any `json:"content"`
			Headers map[string]any `json:"headers"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]struct {
				Type        any      `json:"type"`
				Description string   `json:"description"`
				Enum        []string `json:"enum"`
				MaxLength   int      `json:"maxLength"`
			} `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

func openAPI(t *testing.T) (doc document, raw string) {
	t.Helper()
	w := do(handler(new(fake), io.Discard), request(t, "GET /openapi.json", ""))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/openapi+json" {
		t.Fatalf("status %d %q", w.Code, w.Header().Get("Content-Type"))
	}
	raw = w.Body.String()
	if err := json.Unmarshal([]byte(raw), &doc); err != nil {
		t.Fatal(err)
	}
	return doc, raw
}

// TestAsyncAPIIsServed without a token, as the OpenAPI document is.
func TestAsyncAPIIsServed(t *testing.T) {
	deps := dependencies(new(fake), io.Discard)
	deps.AsyncAPI = []byte("{}")
	w := do(rest.New(rest.Config{}, deps).Handler(), request(t, "GET /asyncapi.json", ""))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/vnd.aai.asyncapi+json" || w.Body.String() != "{}" {
		t.Errorf("status %d %q %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
}

// TestOpenAPIIsDocumented compares docs/openapi.json with the document that is served.
func TestOpenAPIIsDocumented(t *testing.T) {
	const path = "../../../docs/openapi.json"
	_, raw := openAPI(t)
	var want bytes.Buffer
	if err := json.Indent(&want, []byte(raw), "", "  "); err != nil {
		t.Fatal(err)
	}
	want.WriteByte('\n')
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if diff := cmp.Diff(strings.Split(string(got), "\n"), strings.Split(want.String(), "\n")); diff != "" || err != nil {
		t.Errorf("%s is not up to date (make docs): %v (-file +served):\n%s", path, err, diff)
	}
}

// TestOpenAPIDescribesEveryExchange: every status and media type in the table of
// exchanges is described.
func TestOpenAPIDescribesEveryExchange(t *testing.T) {
	doc, raw := openAPI(t)
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || strings.Contains(raw, "$schema") {
		t.Errorf("openapi %q, $schema in it: %t", doc.OpenAPI, strings.Contains(raw, "$schema"))
	}
	for _, e := range allExchanges() {
		method, path, _ := strings.Cut(e.line, " ")
		path, _, _ = strings.Cut(path, "?")
		operation, known := doc.Paths[templateOf(path, slices.Sorted(maps.Keys(doc.Paths)))][strings.ToLower(method)]
		if !known {
			if e.status != http.StatusNotFound && e.status != http.StatusMethodNotAllowed {
				t.Errorf("%s is not described", e.line)
			}
			continue
		}
		if strings.HasSuffix(e.line, "/courier/") {
			continue // no id: not this operation
		}
		response, known := operation.Responses[strconv.Itoa(e.status)]
		if !known {
			t.Errorf("%s: %d is not described", e.line, e.status)
		}
		if media, _, _ := strings.Cut(e.is, ";"); media != "" && response.Content[media] == nil {
			t.Errorf("%s: %d is described as %v, not %s", e.line, e.status, response.Content, media)
		}
		if e.retry != "" && response.Headers["Retry-After"] == nil {
			t.Errorf("%s: %d is described without Retry-After", e.line, e.status)
		}
	}
}

// TestOpenAPIDescribesCommonErrors: any request may be refused before it reaches
// its handler, including those for the stream and the metrics, which huma does not serve.
func TestOpenAPIDescribesCommonErrors(t *testing.T) {
	doc, _ := openAPI(t)
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			expected := []string{"400", "421", "429", "500"}
			if len(operation.Security) > 0 {
				expected = append(expected, "401", "403")
			}
			if strings.HasSuffix(path, "/stream") {
				expected = append(expected, "503")
			}
			for _, status := range expected {
				response := operation.Responses[status]
				if response.Content[problemType] == nil || (status == "429" || status == "503") != (response.Headers["Retry-After"] != nil) {
					t.Errorf("%s %s: %s is described as %+v", method, path, status, response)
				}
			}
		}
	}
}

// templateOf returns the template (such as /courier/{id}) that matches path, preferring
// a literal one, or "".
func templateOf(path string, templates []string) string {
	found := ""
	for _, t := range templates {
		pattern := regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString(regexp.QuoteMeta(t), `[^/]*`)
		if t == path || (found == "" && regexp.MustCompile("^"+pattern+"$").MatchString(path)) {
			found = t
		}
	}
	return found
}

// TestSchemasFollowTheDomain: the limits in struct tags are those of the domain.
func TestSchemasFollowTheDomain(t *testing.T) {
	doc, _ := openAPI(t)
	p := doc.Components.Schemas["NewCourier"].Properties
	if p["name"].MaxLength != courier.MaxNameLen || p["phone"].MaxLength != courier.MaxPhoneLen {
		t.Errorf("lengths %d, %d; want %d, %d", p["name"].MaxLength, p["phone"].MaxLength, courier.MaxNameLen, courier.MaxPhoneLen)
	}
	transports := make([]string, 0, 3)
	for _, transport := range courier.Transports() {
		transports = append(transports, string(transport))
	}
	if !slices.Equal(p["transport_type"].Enum, transports) {
		t.Errorf("transports %v, want %v", p["transport_type"].Enum, transports)
	}
}

// TestSchemaNames: schemas are named after what they describe, not after Go types.
func TestSchemaNames(t *testing.T) {
	doc, _ := openAPI(t)
	for _, name := range []string{
		"Courier", "CourierPage", "NewCourier", "CourierChange", "Order", "OrderPage", "OrderTimeline", "Delivery", "Assignment",
		"DeadLetter", "DeadLetterPage", "StatisticsList", "CourierStatisticsPage", "ConsumerStatus", "Readiness", "Snapshot", "Change", "Problem",
	} {
		if _, known := doc.Components.Schemas[name]; !known {
			t.Errorf("no schema %s", name)
		}
	}
	for name := range doc.Components.Schemas {
		if regexp.MustCompile(`Body|Input|Output|Request$`).MatchString(name) {
			t.Errorf("schema %s is named after a Go type", name)
		}
	}
}

// TestReasonAsksForNoPersonalData: the schema of free text that is kept says so.
func TestReasonAsksForNoPersonalData(t *testing.T) {
	doc, _ := openAPI(t)
	for _, schema := range []string{"UnassignDelivery", "Reason"} {
		description := doc.Components.Schemas[schema].Properties["reason"].Description
		if !strings.Contains(description, "do not include personal data") {
			t.Errorf("%s.reason is described as %q", schema, description)
		}
	}
}
