package rest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestBrowserSession: the cookie of a sign-in takes the place of the header, with the role
// of its token, and pages of other sites cannot use it.
func TestBrowserSession(t *testing.T) {
	h := guarded(t, new(fake), io.Discard)
	const path = "/api/v1/session"
	if got := do(h, request(t, "GET "+path, "")).Body.String(); got != `{"signed_in":false,"token_required":true}`+"\n" {
		t.Errorf("without a token: %s", got)
	}
	if w := do(h, request(t, "POST "+path, `{"token":"unknown"}`)); w.Code != http.StatusUnauthorized || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("an unknown token: %d, %v", w.Code, w.Header())
	}
	w := do(h, request(t, "POST "+path, `{"token":"`+readToken+`"}`, "X-Forwarded-Proto: https"))
	cookie := w.Header().Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "SameSite=Strict", "Secure", "Path=/"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("the cookie %q lacks %s", cookie, attribute)
		}
	}
	if w := do(h, request(t, "POST "+path, `{"token":"`+readToken+`"}`)); strings.Contains(w.Header().Get("Set-Cookie"), "Secure") {
		t.Error("over HTTP the cookie is Secure: a browser would drop it")
	}
	signed, _, _ := strings.Cut(cookie, ";")
	header := "Cookie: " + signed
	if got := do(h, request(t, "GET "+path, "", header)).Body.String(); !strings.Contains(got, `"role":"read"`) {
		t.Errorf("signed in: %s", got)
	}
	if w := do(h, request(t, "GET /couriers", "", header)); w.Code != http.StatusOK {
		t.Errorf("reading with the cookie: %d", w.Code)
	}
	if w := do(h, request(t, "POST /courier", anna, header)); w.Code != http.StatusForbidden {
		t.Errorf("changing with the cookie of a read token: %d", w.Code)
	}
	operator := "Cookie: service-courier-token=" + operateToken
	if w := do(h, request(t, "POST /courier", anna, operator, "Sec-Fetch-Site: cross-site")); w.Code != http.StatusForbidden {
		t.Errorf("changing from a page of another site: %d", w.Code)
	}
	if w := do(h, request(t, "GET /couriers", "", operator, "Authorization: Bearer wrong")); w.Code != http.StatusUnauthorized {
		t.Errorf("a wrong header beside a valid cookie: %d", w.Code)
	}
	if w := do(h, request(t, "DELETE "+path, "", header)); !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("signing out: %v", w.Header())
	}
}
