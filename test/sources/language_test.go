package sources

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// banned maps each word or phrase that this project does not use to what to write
// instead. Matching ignores case, takes whole words only, and splits identifiers at
// their capitals and underscores. docs/glossary.md has the terms.
var banned = map[string]string{
	"amnesia":            "state lost",
	"anew":               "again",
	"anybody":            "any client, any process",
	"audit":              "invariant check",
	"audited":            "checked",
	"audits":             "invariant checks",
	"came to nothing":    "ignored",
	"everybody":          "all clients",
	"fleet":              "all couriers",
	"has a hand in":      "changes",
	"he":                 "the courier, they",
	"him":                "the courier, them",
	"himself":            "themselves",
	"his":                "the courier's, their",
	"keeps its promises": "satisfies the invariants",
	"look at":            "fetch, check, read, see",
	"looked at":          "fetched, checked, read",
	"looking at":         "fetching, checking, reading",
	"looks at":           "fetches, checks, reads",
	"mend":               "fix, repair",
	"mended":             "fixed, repaired",
	"mending":            "fixing, repairing",
	"mends":              "fixes, repairs",
	"nobody":             "no courier, no client",
	"sighting":           "observation",
	"sightings":          "observations",
	"somebody":           "a dispatcher, an operator, a client",
	"sweep":              "resync",
	"sweeps":             "resyncs",
	"swept":              "resynced",
	"teller":             "reporter",
	"tells":              "reports, returns, names",
	"told":               "reported, notified, named",
	"whoever":            "the one that",
	"whom":               "which courier, which caller",
}

// exception is a place where a banned word is right.
type exception struct{ file, text, reason string }

// exceptions name the file and a part of the line. One that no line needs fails too.
var exceptions = []exception{
	{".ci/run", "nobody", "the account of that name"},
	{"internal/dev/devpostgres/process.go", "nobody", "the account of that name"},
	{"CHANGELOG.md", "SWEEP INTERVAL", "the former name of a setting"},
	{"docs/adr/0016-standard-language-and-one-schema.md", "*sweep*", "the old vocabulary"},
	{"docs/adr/0016-standard-language-and-one-schema.md", "`sweep`", "the old vocabulary"},
}

// unread are files and folders that the language test skips.
var unread = []string{
	"docs/glossary.md",              // its column of words to avoid
	"test/sources/language_test.go", // the list above
	"go.sum",                        // checksums, not text
	"test/kubernetes/go.sum",
	"internal/transport/web/lib", // libraries as released
	"test/web/lib",
}

// passage is a piece of text that was written for a reader, and where it stands.
type passage struct {
	text string
	line int
}

// TestLanguage holds every text and every identifier of the repository to the
// terms of docs/glossary.md.
func TestLanguage(t *testing.T) {
	words := slices.SortedFunc(maps.Keys(banned), func(a, b string) int { return len(b) - len(a) })
	pattern := regexp.MustCompile(`(?i)\b(` + strings.Join(words, "|") + `)\b`)
	used := make([]bool, len(exceptions))
	eachText(t, func(name string, passages []passage) {
		for _, p := range passages {
			for _, word := range pattern.FindAllString(p.text, -1) {
				i := slices.IndexFunc(exceptions, func(e exception) bool {
					return e.file == name && strings.Contains(p.text, e.text)
				})
				if i >= 0 {
					used[i] = true
					continue
				}
				t.Errorf("%s:%d: %q: write %s", name, p.line, word, banned[strings.ToLower(word)])
			}
		}
	})
	for i, e := range exceptions {
		if !used[i] {
			t.Errorf("no line of %s needs the exception %q: remove it", e.file, e.text)
		}
	}
}

// eachText calls do with the passages of every text file of the repository.
func eachText(t *testing.T, do func(name string, passages []passage)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case name == ".git", name == "bin", name == "dist", strings.HasSuffix(name, "/testdata/fuzz"):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil // .git is a file in a worktree
		case slices.Contains(unread, name):
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case entry.IsDir(), filepath.Ext(name) == ".png":
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if strings.HasSuffix(name, ".go") {
			do(name, goPassages(source))
		} else {
			do(name, lines(string(source), 1))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 {
		t.Errorf("read only %d files: this test no longer sees the repository", files)
	}
}

// goPassages returns the comments, the string literals and the identifiers of a Go
// file, the latter as separate words.
func goPassages(source []byte) (all []passage) {
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, tok, literal := s.Scan()
		switch tok {
		case token.EOF:
			return all
		case token.COMMENT, token.STRING:
			all = append(all, lines(literal, file.Line(pos))...)
		case token.IDENT:
			all = append(all, passage{splitWords(literal), file.Line(pos)})
		default: // operators, keywords, numbers
		}
	}
}

// lines splits a text, and each line's identifiers, so that `his_name` is found too.
func lines(text string, first int) (all []passage) {
	for line := range strings.Lines(text) {
		all = append(all, passage{strings.ReplaceAll(line, "_", " "), first})
		first++
	}
	return all
}

var capital = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`)

// splitWords returns the words of an identifier.
func splitWords(identifier string) string {
	spaced := capital.ReplaceAllString(identifier, "$1$3 $2$4")
	return strings.ReplaceAll(spaced, "_", " ")
}

func TestSplitWords(t *testing.T) {
	for identifier, want := range map[string]string{
		"TestNobodyIsTold": "Test Nobody Is Told", "HTTPServer": "HTTP Server", "recheck_at": "recheck at", "theHead": "the Head", "x2Y": "x2 Y",
	} {
		if got := splitWords(identifier); got != want {
			t.Errorf("splitWords(%q) = %q, want %q", identifier, got, want)
		}
	}
}
