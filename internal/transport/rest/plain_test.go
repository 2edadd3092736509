package rest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"service-courier/internal/access"
	"service-courier/internal/transport/rest"
)

// plainPages writes which page was asked for.
type plainPages struct{}

func (plainPages) Board(w http.ResponseWriter, _ *http.Request, _ bool) {
	_, _ = io.WriteString(w, "board")
}

func (plainPages) SignIn(w http.ResponseWriter, _ *http.Request, refused bool) {
	w.WriteHeader(http.StatusUnauthorized)
	if refused {
		_, _ = io.WriteString(w, "refused")
	}
}

// TestPlainBoardSignsIn: the form's token becomes the cookie of the other pages, without
// which the board is not shown; no other route takes a form, which any site can send.
func TestPlainBoardSignsIn(t *testing.T) {
	tokens, err := access.Parse("monitor:read:" + readToken + ",dispatcher:operate:" + operateToken)
	if err != nil {
		t.Fatal(err)
	}
	deps := dependencies(new(fake), io.Discard)
	deps.Callers, deps.Plain = tokens, plainPages{}
	h := rest.New(rest.Config{}, deps).Handler()
	const path = "/ui/plain"
	const form = "Content-Type: application/x-www-form-urlencoded"
	if w := do(h, request(t, "GET "+path, "")); w.Code != http.StatusUnauthorized || w.Body.Len() > 0 {
		t.Errorf("without a token: %d %s", w.Code, w.Body)
	}
	if w := do(h, request(t, "POST "+path, "token=unknown", form)); w.Body.String() != "refused" || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("an unknown token: %s, %v", w.Body, w.Header())
	}
	w := do(h, request(t, "POST "+path+"?lang=ru", "token="+readToken, form))
	cookie := w.Header().Get("Set-Cookie")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != path+"?lang=ru" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("signing in: %d, %v", w.Code, w.Header())
	}
	signed, _, _ := strings.Cut(cookie, ";")
	if w := do(h, request(t, "GET "+path, "", "Cookie: "+signed)); w.Body.String() != "board" {
		t.Errorf("signed in: %d %s", w.Code, w.Body)
	}
	if w := do(h, request(t, "POST "+path, "token=", form, "Cookie: "+signed)); !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("signing out: %v", w.Header())
	}
	if w := do(h, request(t, "POST "+path, "token="+readToken, form, "Sec-Fetch-Site: cross-site")); w.Code != http.StatusForbidden {
		t.Errorf("signing in from another site: %d", w.Code)
	}
	if w := do(h, request(t, "POST "+path, `{"token":"x"}`)); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("JSON for the form: %d", w.Code)
	}
	if w := do(h, request(t, "POST /courier", "name=Anna", form, "Authorization: Bearer "+operateToken)); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("a form for the API: %d", w.Code)
	}
}
