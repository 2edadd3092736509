package rest

import "github.com/danielgtaylor/huma/v2"

// label is a name or a phone in a body: something to read, without NUL, which no
// text column takes. courier.Validate says the same.
type label string

// Schema implements huma.SchemaProvider. The tags of a field say how long it may be.
func (label) Schema(huma.Registry) *huma.Schema {
	shortest := 1
	return &huma.Schema{
		Type: huma.TypeString, MinLength: &shortest,
		Pattern: `^[^\x00]*[^\s\x00][^\x00]*$`, PatternDescription: "text without NUL, not only spaces",
	}
}
