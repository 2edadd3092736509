package rest

import (
	"fmt"
	"strings"
	"testing"
)

type testKey struct {
	ID int64 `json:"id"`
}

// TestPages reads a list of 7 in pages of 3: every item once, in order, and no cursor
// after the last.
func TestPages(t *testing.T) {
	list := []int64{1, 2, 3, 4, 5, 6, 7}
	const limit = 3
	var got []string
	for cursor, pages := "", 1; ; pages++ {
		key, err := decodeCursor[testKey](cursor)
		if err != nil {
			t.Fatal(err)
		}
		found := list[key.ID:]
		page := newPage(found[:min(len(found), limit+1)], limit,
			func(n int64) string { return fmt.Sprint(n) }, func(n int64) testKey { return testKey{n} })
		got = append(got, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
	}
	if strings.Join(got, " ") != "1 2 3 4 5 6 7" {
		t.Errorf("got %v", got)
	}
}

func TestEmptyPage(t *testing.T) {
	page := newPage(nil, 3, func(n int64) int64 { return n }, func(n int64) testKey { return testKey{n} })
	if page.Items == nil || page.NextCursor != "" {
		t.Errorf("%+v", page)
	}
}

// TestInvalidCursors: an invalid cursor is an error of the client.
func TestInvalidCursors(t *testing.T) {
	for _, forged := range []string{
		"x", "!", encodeCursor(5), encodeCursor(map[string]string{"id": "seven"}), encodeCursor(testKey{1}) + "=",
		encodeCursor(map[string]any{"id": 1, "name": "a\x00"}),
	} {
		_, err := decodeCursor[testKey](forged)
		if p := problemOf(err); p.Code != codeInvalid || len(p.Errors) != 1 || p.Errors[0].Location != "query.cursor" {
			t.Errorf("%q: %v", forged, err)
		}
	}
}
