package sources

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	file    = regexp.MustCompile("`([A-Za-z0-9_.][A-Za-z0-9_./-]*\\.(?:go|sql|md|ya?ml|json|mod))`")
)

// TestDocumentsNameWhatExists: every relative link of a document leads to a file and a
// heading, and every file that it names in backticks exists, under that path or below
// some folder.
func TestDocumentsNameWhatExists(t *testing.T) {
	var files, documents []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "dist"}, entry.Name()):
			return fs.SkipDir
		case entry.IsDir():
			return nil
		case strings.HasSuffix(path, ".md"):
			documents = append(documents, path)
		}
		files = append(files, "/"+filepath.ToSlash(path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range documents {
		text := read(t, path)
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if target, fragment := found[1], strings.TrimPrefix(found[2], "#"); !strings.Contains(target, "://") {
				checkLink(t, path, text, target, fragment)
			}
		}
		for _, found := range file.FindAllStringSubmatch(text, -1) {
			if !slices.ContainsFunc(files, func(f string) bool { return strings.HasSuffix(f, "/"+found[1]) }) {
				t.Errorf("%s names %s, which does not exist", path, found[1])
			}
		}
	}
}

func checkLink(t *testing.T, path, text, target, fragment string) {
	t.Helper()
	if target != "" {
		target = filepath.Join(filepath.Dir(path), target)
		if _, err := os.Stat(target); err != nil {
			t.Errorf("%s: broken link: %v", path, err)
			return
		}
		if fragment != "" {
			text = read(t, target)
		}
	}
	if fragment == "" {
		return
	}
	for _, title := range heading.FindAllStringSubmatch(text, -1) {
		if anchor(title[1]) == fragment {
			return
		}
	}
	t.Errorf("%s: broken link: %s has no heading #%s", path, target, fragment)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
