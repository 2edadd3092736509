// Package sources holds the documents to the sources, and the sources to rules
// that no compiler knows. It reads files and runs nothing.
package sources

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root of the repository.
const root = "../.."

// eachSource calls do with every source file of the product: not its tests, nor
// service-order's simulator and the embedded servers of dev.
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
			case name == "internal/ordersim", name == "internal/devstack", name == "cmd/service-order":
				return fs.SkipDir
			case entry.IsDir(), !strings.HasSuffix(name, ".go"), strings.HasSuffix(name, "_test.go"):
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

// isSelector reports pkg.name.
func isSelector(e *ast.SelectorExpr, pkg, name string) bool {
	x, ok := e.X.(*ast.Ident)
	return ok && x.Name == pkg && e.Sel.Name == name
}

// document reads one of docs/.
func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rows are the lines of the document's tables, a row a slice of cells.
func rows(text string) (all [][]string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| ") {
			all = append(all, strings.Split(strings.Trim(line, "|"), "|"))
		}
	}
	return all
}

var code = regexp.MustCompile("`([^`]+)`")

// spans are the texts between backticks.
func spans(cell string) (all []string) {
	for _, found := range code.FindAllStringSubmatch(cell, -1) {
		all = append(all, found[1])
	}
	return all
}
