package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

// TestPagesAndAssets: every path is the page, an unknown asset is not found, and a browser
// that has the current version gets no body.
func TestPagesAndAssets(t *testing.T) {
	for _, path := range []string{"/ui/", "/ui/orders/o-1", "/ui/../secret"} {
		w := get(t, path)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Header().Get("Content-Security-Policy") != policy {
			t.Errorf("%s: %d, %v", path, w.Code, w.Header())
		}
	}
	w := get(t, "/ui/assets/app.js", "Accept-Encoding", "gzip")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("app.js: %v", w.Header())
	}
	if w := get(t, "/ui/assets/app.js", "If-None-Match", w.Header().Get("ETag")); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("the current version again: %d with %d bytes", w.Code, w.Body.Len())
	}
	for _, path := range []string{"/ui/assets/none.js", "/ui/assets/", "/ui/assets/../web.go"} {
		if w := get(t, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestNothingInline: the policy would refuse it, and the page would look broken.
func TestNothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son[a-z]+="|(src|href)="(https?:)?//`)
	for name, a := range load() {
		if strings.HasPrefix(name, "lib/") {
			continue
		}
		if found := inline.Find(a.plain); found != nil {
			t.Errorf("%s has %q", name, found)
		}
	}
}

// TestLibrariesAreAsReleased compares the libraries with their manifest.
func TestLibrariesAreAsReleased(t *testing.T) {
	text, err := files.ReadFile("lib/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name, Version, License, Integrity, Folder string
		Files                                     []struct{ To, SHA256 string }
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"manifest.json": true}
	for _, l := range all {
		if l.Version == "" || l.License == "" || l.Integrity == "" {
			t.Errorf("%s lacks its version, licence or checksum", l.Name)
		}
		if l.Folder != "" {
			continue // of the tests
		}
		for _, f := range l.Files {
			listed[f.To] = true
			content, err := files.ReadFile("lib/" + f.To)
			sum := sha256.Sum256(content)
			if err != nil || hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("%s is not as released (%v): run `make web-libs`", f.To, err)
			}
		}
	}
	entries, err := files.ReadDir("lib")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !listed[e.Name()] {
			t.Errorf("lib/%s is not in the manifest", e.Name())
		}
	}
}

// TestTextsAreComplete: every text has both languages with the same values, and every text
// that a page uses exists.
func TestTextsAreComplete(t *testing.T) {
	value := regexp.MustCompile(`\{\w+\}`)
	assets := load()
	source := string(assets["texts.js"].plain) + string(assets["pages/playground.js"].plain)
	texts := map[string]bool{}
	for _, m := range textRow.FindAllStringSubmatch(source, -1) {
		key, english, russian := m[1], m[2], m[3]
		if texts[key] {
			t.Errorf("%s is there twice", key)
		}
		texts[key] = true
		if (english == "" || russian == "") && key != "ago.before" {
			t.Errorf("%s lacks a language", key)
		}
		for _, v := range value.FindAllString(english, -1) {
			if !strings.Contains(russian, v) {
				t.Errorf("%s: the Russian text lacks %s", key, v)
			}
		}
		if forms := strings.Count(russian, "|"); (forms > 0) != strings.Contains(english, "|") || forms > 0 && forms != 2 {
			t.Errorf("%s: a number needs two forms in English and three in Russian", key)
		}
	}
	if got := strings.Count(source, "': ["); got != len(texts) {
		t.Errorf("%d texts were read of %d", len(texts), got)
	}
	used := regexp.MustCompile(`\bt\('([\w.]+)'\s*[,)]`)
	for name, a := range assets {
		for _, m := range used.FindAllStringSubmatch(string(a.plain), -1) {
			if !texts[m[1]] {
				t.Errorf("%s uses the text %s, which is missing", name, m[1])
			}
		}
	}
}

// TestScriptsAreSmall: what a browser loads for every page of serve together, without charts.
// Each page's script is loaded when it is opened, the Playground's only in dev.
func TestScriptsAreSmall(t *testing.T) {
	total := 0
	for name, a := range load() {
		if strings.HasSuffix(name, ".js") && name != "lib/uPlot.js" && name != "pages/playground.js" {
			total += len(a.gzipped)
		}
	}
	t.Logf("%d bytes of scripts, compressed", total)
	if total > 60<<10 {
		t.Errorf("scripts have %d bytes compressed, want at most 60 KiB", total)
	}
}
