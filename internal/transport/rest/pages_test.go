package rest_test

import (
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"service-courier/internal/transport/rest"
)

// TestPagesAreSelfContained follows the references of the pages: all of them are
// served here, under a policy that allows nothing else.
func TestPagesAreSelfContained(t *testing.T) {
	h := handler(new(fake), io.Discard)
	pages := map[string]string{"/docs": "text/html", "/docs/docs.js": "text/javascript", "/docs/pages.css": "text/css"}
	for _, k := range rest.Kinds() {
		pages["/problems/"+strings.ReplaceAll(k.Code, "_", "-")] = "text/html"
	}
	for path, media := range pages {
		w := do(h, request(t, "GET "+path, ""))
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), media) {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for _, found := range regexp.MustCompile(`(?:src|href)="([^"]*)"|fetch\("([^"]*)"\)`).FindAllStringSubmatch(w.Body.String(), -1) {
			target := found[1] + found[2]
			if got := do(h, request(t, "GET "+target, "")); !strings.HasPrefix(target, "/") || got.Code != http.StatusOK {
				t.Errorf("%s refers to %s: %d", path, target, got.Code)
			}
		}
	}
}

// TestEveryProblemHasAPage: the page of a problem has its code and what to do.
func TestEveryProblemHasAPage(t *testing.T) {
	h := handler(new(fake), io.Discard)
	for _, k := range rest.Kinds() {
		w := do(h, request(t, "GET /problems/"+strings.ReplaceAll(k.Code, "_", "-"), ""))
		text := html.UnescapeString(w.Body.String())
		if !strings.Contains(text, k.Code) || !strings.Contains(text, k.Remedy) {
			t.Errorf("%s: %s", k.Code, w.Body)
		}
		if command := "On the command line: "; strings.Contains(text, command) != (k.Command != "") || !strings.Contains(text, k.Command) {
			t.Errorf("%s: want the remedy of the command line %q: %s", k.Code, k.Command, w.Body)
		}
	}
	if w := do(h, request(t, "GET /problems/none", "")); w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != problemType {
		t.Errorf("no such kind: %d %s", w.Code, w.Body)
	}
}
