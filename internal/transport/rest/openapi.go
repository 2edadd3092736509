package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// openAPIHandler serves doc as it is now.
func openAPIHandler(doc *huma.OpenAPI) http.Handler {
	nullIsAbsent(doc)
	body, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Errorf("OpenAPI document: %w", err)) // built from constants: every test would meet it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(body) // the client has gone: nobody to tell
	})
}

// nullIsAbsent describes what huma does without saying so: null for an optional
// field of a body is as if the field were left out.
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
