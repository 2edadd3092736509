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
)

// document is what the tests look at of an OpenAPI document.
type document struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		Security  []any `json:"security"`
		Responses map[string]struct {
			Content map[string]any `json:"content"`
			Headers map[string]any `json:"headers"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]struct {
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

// TestOpenAPIIsDocumented holds docs/openapi.json, for those who have no server at
// hand and for the reviewer of a change, against the document that is served.
func TestOpenAPIIsDocumented(t *testing.T) {
	const path = "../../../docs/openapi.json"
	_, raw := openAPI(t)
	var want bytes.Buffer
	if err := json.Indent(&want, []byte(raw), "", "  "); err != nil {
		t.Fatal(err)
	}
	want.WriteByte('\n')
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if diff := cmp.Diff(strings.Split(string(got), "\n"), strings.Split(want.String(), "\n")); diff != "" || err != nil {
		t.Errorf("%s is not up to date (make docs): %v (-file +served):\n%s", path, err, diff)
	}
}

// TestOpenAPIDescribesEveryExchange holds the document against what the table
// of exchanges has seen the API do.
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

// TestOpenAPIDescribesWhatIsAroundHandlers: any request may be refused before its
// handler is reached, also one for the stream or the metrics, which huma does not serve.
func TestOpenAPIDescribesWhatIsAroundHandlers(t *testing.T) {
	doc, _ := openAPI(t)
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			expected := []string{"421", "429", "500"}
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

// templateOf returns the one of templates (such as /courier/{id}) that path is of,
// a literal one before others; "" where there is none.
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

// TestSchemasFollowTheDomain fails when the limits in the struct tags and those
// of the domain part.
func TestSchemasFollowTheDomain(t *testing.T) {
	doc, _ := openAPI(t)
	p := doc.Components.Schemas["RegisterBody"].Properties
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

// TestReasonsAreToNameNobody: free text that is kept says so where it is asked for.
func TestReasonsAreToNameNobody(t *testing.T) {
	doc, _ := openAPI(t)
	for _, schema := range []string{"UnassignBody", "UnassignOrderBody"} {
		told := doc.Components.Schemas[schema].Properties["reason"].Description
		if !strings.Contains(told, "kept in the order's history: name nobody in it") {
			t.Errorf("%s.reason is described as %q", schema, told)
		}
	}
}
