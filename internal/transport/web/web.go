// Package web serves the pages of the web interface under /ui/. They use the HTTP API and
// the live feed as any other client does; this package imports neither.
package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed static lib
var files embed.FS

// policy permits scripts and styles of this server only, and none inside a page.
const policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// prefix is the path of the pages.
const prefix = "/ui/"

// asset is a file as it is sent.
type asset struct {
	contentType    string
	etag           string
	plain, gzipped []byte // gzipped is nil if it would not be smaller
}

// eventsAlone marks the context of a request at the address of the events page.
type eventsAlone struct{}

// EventsAlone marks the requests of the address that is for the events page alone. The pages then
// permit no command but publishing a record: the address refuses the others.
func EventsAlone(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), eventsAlone{}, true)))
	})
}

// Handler serves the pages. Paths outside assets/ are pages, which index.html shows by
// their path.
func Handler() http.Handler {
	assets := load()
	index := assets["index.html"]
	marked := newAsset("index.html", bytes.Replace(index.plain, []byte("<html "), []byte("<html data-events "), 1))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, isAsset := strings.CutPrefix(r.URL.Path, prefix+"assets/")
		a := index
		if r.Context().Value(eventsAlone{}) != nil {
			a = marked
		}
		if isAsset {
			var known bool
			if a, known = assets[name]; !known || name == "index.html" {
				http.NotFound(w, r)
				return
			}
		}
		a.serve(w, r)
	})
}

// load reads every file once: they are part of the program.
var load = sync.OnceValue(func() map[string]asset {
	all := make(map[string]asset)
	for _, dir := range []string{"static", "lib"} {
		err := fs.WalkDir(files, dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := files.ReadFile(name)
			if err != nil {
				return err
			}
			if dir == "static" {
				name = strings.TrimPrefix(name, "static/")
			}
			all[name] = newAsset(name, text)
			return nil
		})
		if err != nil {
			panic(err) // the files are embedded
		}
	}
	return all
})

func newAsset(name string, text []byte) asset {
	sum := sha256.Sum256(text)
	a := asset{contentType: mime.TypeByExtension(path.Ext(name)), etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, plain: text}
	switch path.Ext(name) { // mime's answer for these depends on the machine
	case ".js":
		a.contentType = "text/javascript; charset=utf-8"
	case ".LICENSE":
		a.contentType = "text/plain; charset=utf-8"
	}
	var zipped bytes.Buffer
	out, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is valid
	_, _ = out.Write(text)                                       // a buffer takes everything
	_ = out.Close()
	if zipped.Len() < len(text) {
		a.gzipped = zipped.Bytes()
	}
	return a
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // browsers may keep it, but check its ETag each time
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", a.contentType)
	h.Set("ETag", a.etag)
	if r.Header.Get("If-None-Match") == a.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.plain
	if a.gzipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.gzipped
	}
	_, _ = w.Write(body) // fails only when the client has disconnected
}
