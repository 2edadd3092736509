package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// PageInput selects a page of a list. A handler reads one item more than limit, after the
// key in the cursor. huma finds embedded fields of exported types only.
type PageInput struct {
	Cursor string `query:"cursor" maxLength:"512" doc:"next_cursor of the previous page; default: the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"maximum number of items"`
}

// page is one page of a list.
type page[T any] struct {
	Items      []T    `json:"items" nullable:"false"`
	NextCursor string `json:"next_cursor,omitempty" doc:"cursor of the next page; omitted on the last one"`
}

// idKey is the cursor of a list that is sorted by id.
type idKey struct {
	ID int64 `json:"id"`
}

// newPage makes a page of at most limit of the items found, with a cursor if there
// are more.
func newPage[T, B, K any](found []T, limit int, body func(T) B, key func(T) K) page[B] {
	p := page[B]{Items: make([]B, 0, min(len(found), limit))} // never null
	for _, item := range found[:min(len(found), limit)] {
		p.Items = append(p.Items, body(item))
	}
	if len(found) > limit {
		p.NextCursor = encodeCursor(key(found[limit-1]))
	}
	return p
}

// encodeCursor makes an opaque cursor of a key.
func encodeCursor(key any) string {
	text, err := json.Marshal(key)
	if err != nil {
		panic(fmt.Errorf("cursor: %w", err)) // keys are structs of this package
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// decodeCursor returns the key in a cursor, the zero key for none, or a Problem.
func decodeCursor[K any](cursor string) (key K, err error) {
	if cursor == "" {
		return key, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &key)
	}
	if err != nil || ambiguity(text) != "" || bytes.Contains(text, []byte(`\u0000`)) { // PostgreSQL refuses NUL
		return key, badCursor()
	}
	return key, nil
}

func badCursor() *Problem { return invalid("query.cursor", "not a cursor of this list") }
