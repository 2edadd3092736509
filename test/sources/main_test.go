// Package sources checks documents against the sources, and the sources against rules
// that no compiler enforces. It only reads files.
package sources

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root of the repository.
const root = "../.."

// eachSource calls do with every source file of the product, without tests and the
// development environment.
func eachSource(t *testing.T, do func(path string, file *ast.File)) {
	t.Helper()
	for _, folder := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			name, relErr := filepath.Rel(root, path)
			name = filepath.ToSlash(name)
			switch {
			case err != nil:
				return err
			case relErr != nil:
				return relErr
			case name == "internal/dev/ordersim", name == "internal/dev", name == "cmd/service-order":
				return fs.SkipDir
			case entry.IsDir(), !strings.HasSuffix(name, ".go"), strings.HasSuffix(name, "_test.go"), strings.HasSuffix(name, ".pb.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err == nil {
				do(name, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// isSelector reports whether e is pkg.name.
func isSelector(e *ast.SelectorExpr, pkg, name string) bool {
	x, ok := e.X.(*ast.Ident)
	return ok && x.Name == pkg && e.Sel.Name == name
}

// document reads a file of docs/.
func document(t *testing.T, name string) string {
	t.Helper()
	return read(t, filepath.Join(root, "docs", name))
}

// rows returns the table rows of a document as slices of cells.
func rows(text string) (all [][]string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| ") {
			all = append(all, strings.Split(strings.Trim(line, "|"), "|"))
		}
	}
	return all
}

var code = regexp.MustCompile("`([^`]+)`")

// spans returns the texts between backticks.
func spans(cell string) (all []string) {
	for _, found := range code.FindAllStringSubmatch(cell, -1) {
		all = append(all, found[1])
	}
	return all
}
