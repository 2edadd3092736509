package rest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// requestBody is a body that the OpenAPI document describes, with a value for every field.
type requestBody struct {
	line   string            // METHOD /path
	fields map[string]string // JSON values by name
}

// text is the body, followed by additional fields.
func (b requestBody) text(additional ...string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(b.fields)) {
		all = append(all, fmt.Sprintf("%q:%s", name, b.fields[name]))
	}
	return "{" + strings.Join(append(all, additional...), ",") + "}"
}

// requestBodies lists every body of the OpenAPI document.
func requestBodies(t *testing.T) (all []requestBody) {
	t.Helper()
	doc, _ := openAPI(t)
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			content, has := operation.RequestBody.Content[jsonType]
			if !has {
				continue
			}
			b := requestBody{strings.ToUpper(method) + " " + regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "3"), map[string]string{}}
			for name, property := range doc.Components.Schemas[content.Schema.Ref[strings.LastIndex(content.Schema.Ref, "/")+1:]].Properties {
				var value any = "o-1"
				switch {
				case name == "payload":
					value = "e30=" // base64
				case len(property.Enum) > 0:
					value = property.Enum[0]
				case strings.Contains(fmt.Sprint(property.Type), "integer"):
					value = 9
				case strings.Contains(fmt.Sprint(property.Type), "boolean"):
					value = true
				}
				text, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				b.fields[name] = string(text)
			}
			all = append(all, b)
		}
	}
	if len(all) < 8 {
		t.Fatalf("only %d operations with a body", len(all))
	}
	return all
}

// expectStatus sends a body and expects a status; a 2xx stands for any success.
func expectStatus(t *testing.T, h http.Handler, line, body string, want int, headers ...string) {
	t.Helper()
	w := do(h, request(t, line, body, headers...))
	if got := w.Code; got != want && (want != http.StatusOK || got >= http.StatusMultipleChoices) {
		t.Errorf("%s %v %s: %d, want %d: %s", line, headers, body, got, want, w.Body)
	}
}

// TestFieldsHaveOneSpelling sends every body of the OpenAPI document with every field
// twice. The schema checks one of them and encoding/json keeps the other.
func TestFieldsHaveOneSpelling(t *testing.T) {
	h := handler(new(fake), io.Discard)
	folds := strings.NewReplacer("s", "ſ", "k", "\u212a") // encoding/json takes these for s and k
	for _, b := range requestBodies(t) {
		expectStatus(t, h, b.line, b.text(), http.StatusOK)
		for name, value := range b.fields {
			expectStatus(t, h, b.line, b.text(fmt.Sprintf("%q:%s", name, value)), http.StatusBadRequest)
			expectStatus(t, h, b.line, b.text(fmt.Sprintf(`"\u%04x%s":%s`, name[0], name[1:], value)), http.StatusBadRequest)
			for _, other := range []string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], folds.Replace(name)} {
				if other != name {
					expectStatus(t, h, b.line, b.text(fmt.Sprintf("%q:%s", other, value)), http.StatusUnprocessableEntity)
				}
			}
		}
	}
}

// TestTextIsUTF8: text in another encoding is refused, in every text field of a body,
// in paths and in queries.
func TestTextIsUTF8(t *testing.T) {
	h := handler(new(fake), io.Discard)
	bad := map[string]string{
		"CP1251":              "\xc8\xe2\xe0\xed",
		"Latin-1 in between":  "Jos\xe9 Maria",
		"overlong":            "\xc0\xaf",
		"surrogate in UTF-8":  "\xed\xa0\x80",
		"high surrogate":      `\ud83d`,
		"low surrogate":       `\uDE00`,
		"surrogates reversed": `\ude00\ud83d`,
		"half and text":       `\ud83dx`,
	}
	for _, b := range requestBodies(t) {
		for name, value := range b.fields {
			if !strings.HasPrefix(value, `"`) {
				continue
			}
			for _, text := range bad {
				broken := requestBody{b.line, maps.Clone(b.fields)}
				broken.fields[name] = `"` + text + `"`
				expectStatus(t, h, b.line, broken.text(), http.StatusBadRequest)
			}
		}
	}
	for _, b := range requestBodies(t) {
		expectStatus(t, h, b.line, b.text("\"\xff\":1"), http.StatusBadRequest)
		expectStatus(t, h, b.line, b.text(`"\udfff":1`), http.StatusBadRequest)
	}
	for _, line := range []string{
		"GET /api/v1/orders/%FF", "GET /api/v1/orders?cursor=%C8", "GET /api/v1/couriers?status=%ED%A0%80", "GET /couriers?%FF=1",
		"GET /api/v1/couriers?status=busy%zz", "GET /api/v1/couriers?a;status=busy", "POST /api/v1/orders/%C0%AF/release", "GET /docs?%FF",
	} {
		expectStatus(t, h, line, "", http.StatusBadRequest)
	}
	cursor := base64.RawURLEncoding.EncodeToString([]byte(`{"list":"waiting","key":"1","id":"\ud800"}`))
	expectStatus(t, h, "GET /api/v1/orders?state=waiting&cursor="+cursor, "", http.StatusUnprocessableEntity)
	expectStatus(t, h, "POST /courier", strings.Replace(anna, "Anna", `Анна \ud83d\ude00 é`, 1), http.StatusOK)
}

// TestCharset: JSON is UTF-8, whatever the client declares.
func TestCharset(t *testing.T) {
	h := handler(new(fake), io.Discard)
	for charset, status := range map[string]int{
		"utf-8": 200, "UTF-8": 200, `"utf8"`: 200,
		"windows-1251": 400, "cp1251": 400, "utf-16": 400, "iso-8859-1": 400, `""`: 400,
	} {
		for _, media := range []string{"application/json", "application/merge-patch+json"} {
			expectStatus(t, h, "POST /courier", anna, status, "Content-Type: "+media+"; charset="+charset)
		}
	}
	expectStatus(t, h, "POST /courier", anna, http.StatusUnsupportedMediaType, "Content-Type: application/json; charset=utf-8; charset=cp1251")
	expectStatus(t, h, "POST /courier", anna, http.StatusBadRequest, "Content-Type: application/json; charset*=utf-8''cp1251")
	r := request(t, "POST /courier", anna)
	r.Header.Add("Content-Type", "application/json; charset=cp1251")
	if w := do(h, r); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("two Content-Types: %d", w.Code)
	}
}
