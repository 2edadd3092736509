package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// description opens the OpenAPI document.
const description = `Couriers and the orders they deliver.

Every error is a problem (RFC 9457, ` + "`application/problem+json`" + `) with a stable ` + "`code`" + `; its ` + "`type`" + ` is the page that explains it. ` +
	`400 means that the request cannot be parsed or is not UTF-8, 422 that a value is invalid; ` + "`errors`" + ` then lists every place. ` +
	`The names of fields are case-sensitive. Unknown and repeated fields and repeated query parameters are refused; null in an optional field means omitted. Every response has an ` + "`X-Request-ID`" + `, the client's own if it is valid. ` +
	`Times are RFC 3339 in UTC. Lists are paged: pass ` + "`next_cursor`" + ` to get the next page.`

// humaConfig is huma's default without what loads from elsewhere (/docs), what
// puts $schema into bodies (CreateHooks), and its own document route, which
// renders at the first request without a lock.
func humaConfig() huma.Config {
	cfg := huma.DefaultConfig("service-courier", "1.0.0")
	cfg.Info.Description = description
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.CreateHooks = nil
	cfg.Formats = formats()
	cfg.Transformers = nil
	cfg.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{bearer: {
		Type: "http", Scheme: "bearer",
		Description: "A token of API_TOKENS with the role of the operation, read or operate; operate includes read. Without API_TOKENS no token is required.",
	}}
	return cfg
}

// schemaName names schemas after their types: orderBody is Order, page[OrderBody] is
// OrderPage.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if item, isPage := strings.CutPrefix(name, "Page"); isPage {
		return strings.TrimSuffix(strings.TrimSuffix(item, "Body"), "Summary") + "Page"
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, "Body"), "Request")
}

// security documents the role that an operation requires.
func security(role role) []map[string][]string {
	if role == public {
		return []map[string][]string{}
	}
	return []map[string][]string{{bearer: {string(role)}}}
}

func documentRetries(responses map[string]*huma.Response) {
	for _, status := range []string{"429", "503"} {
		if r := responses[status]; r != nil {
			r.Headers = map[string]*huma.Header{"Retry-After": {
				Description: "Seconds to wait before the next attempt", Schema: &huma.Schema{Type: huma.TypeInteger},
			}}
		}
	}
}

func (a *api) documentMetrics() {
	a.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "metrics", Method: http.MethodGet, Path: "/metrics", Tags: []string{"health"},
		Summary: "Metrics in the Prometheus text format", Security: security(read),
		Responses: a.unregistered("text/plain", "OK"),
	})
}

// unregistered are the responses of a GET without huma: text, the problems of the
// surrounding handlers, and the given ones.
func (a *api) unregistered(media, description string, errs ...int) map[string]*huma.Response {
	responses := map[string]*huma.Response{"200": {
		Description: description, Content: map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	around := []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	for _, status := range append(around, errs...) {
		responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status), Content: map[string]*huma.MediaType{"application/problem+json": {
				Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, ""),
			}},
		}
	}
	documentRetries(responses)
	return responses
}

// openAPIHandler serves doc as it is now.
func openAPIHandler(doc *huma.OpenAPI) http.Handler {
	nullIsAbsent(doc)
	body, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Errorf("OpenAPI document: %w", err)) // built from constants: every test would fail
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(body) // fails only when the client has disconnected
	})
}

func asyncAPIHandler(doc []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.aai.asyncapi+json")
		_, _ = w.Write(doc) // fails only when the client has disconnected
	})
}

// nullIsAbsent documents that huma takes null in an optional field of a body as
// omitted.
func nullIsAbsent(doc *huma.OpenAPI) {
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Post, path.Put, path.Patch} {
			if op == nil || op.RequestBody == nil {
				continue
			}
			for _, content := range op.RequestBody.Content {
				optionalNullable(doc, content.Schema)
			}
		}
	}
}

func optionalNullable(doc *huma.OpenAPI, s *huma.Schema) {
	if s.Ref != "" {
		s = doc.Components.Schemas.SchemaFromRef(s.Ref)
	}
	for name, property := range s.Properties {
		if !slices.Contains(s.Required, name) && property.Ref == "" {
			property.Nullable = true
		}
	}
}

// formats are huma's, accepting the integers of JSON Schema: 7.0 is one, which
// encoding/json refuses and some languages write.
func formats() map[string]huma.Format {
	all := maps.Clone(huma.DefaultFormats)
	for name, f := range all {
		f.Unmarshal = unmarshal
		all[name] = f
	}
	return all
}

func unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok || !strings.HasPrefix(mismatch.Value, "number") {
		return err
	}
	rewritten, err := integral(data)
	if err != nil {
		return err
	}
	return json.Unmarshal(rewritten, v)
}

// integral rewrites whole numbers without a fraction.
func integral(data []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(withoutFractions(v))
}

func withoutFractions(v any) any {
	const exact = 1 << 53 // larger floats are ambiguous
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = withoutFractions(v[k])
		}
	case []any:
		for i := range v {
			v[i] = withoutFractions(v[i])
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && f == math.Trunc(f) && math.Abs(f) < exact {
			return json.Number(strconv.FormatInt(int64(f), 10))
		}
	}
	return v
}
