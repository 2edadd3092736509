package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// A list is answered in pages. Its input embeds PageInput, its body is a
// pageBody; the store is asked for one item more than limit, behind the key in
// the cursor.

// PageInput says which page a list is asked for. huma finds embedded fields of
// exported types only.
type PageInput struct {
	Cursor string `query:"cursor" maxLength:"512" doc:"next_cursor of the page before; without it, the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"how many items at most"`
}

// pageBody is one page of a list.
type pageBody[T any] struct {
	Items      []T    `json:"items" nullable:"false"`
	NextCursor string `json:"next_cursor,omitempty" doc:"asks for the next page; absent on the last one"`
}

// newPage makes a page of what was found: up to limit items, each shown by body,
// and a cursor with the last one's key where there are more.
func newPage[T, B, K any](found []T, limit int, body func(T) B, key func(T) K) pageBody[B] {
	page := pageBody[B]{Items: make([]B, 0, min(len(found), limit))} // never null
	for _, item := range found[:min(len(found), limit)] {
		page.Items = append(page.Items, body(item))
	}
	if len(found) > limit {
		page.NextCursor = encodeCursor(key(found[limit-1]))
	}
	return page
}

// encodeCursor makes a cursor of a key: text without a meaning for the caller.
func encodeCursor(key any) string {
	text, err := json.Marshal(key)
	if err != nil {
		panic(fmt.Errorf("cursor: %w", err)) // keys are structs of this package
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// decodeCursor returns the key in a cursor, and the zero key for none. The error
// is a Problem: what it refuses was not made by encodeCursor for this list.
func decodeCursor[K any](cursor string) (key K, err error) {
	if cursor == "" {
		return key, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &key)
	}
	if err != nil || bytes.Contains(text, []byte(`\u0000`)) { // NUL is in no text column
		return key, invalid("query.cursor", "not a cursor of this list")
	}
	return key, nil
}
