package sources

import (
	"go/ast"
	"slices"
	"testing"

	"service-courier/internal/usecase/deadletters"
)

// TestReasonsOfDeadLetters: those that the consumer gives are those that can be
// chosen, and the runbook explains each.
func TestReasonsOfDeadLetters(t *testing.T) {
	values := make(map[string]string) // of the constants, by name
	var names []string                // of those that the consumer gives
	eachSource(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if path == "internal/usecase/deadletters/reason.go" && len(n.Values) == 1 {
					values[n.Names[0].Name] = text(n.Values[0])
				}
			case *ast.SelectorExpr:
				if of, ok := n.X.(*ast.Ident); ok && path == "internal/transport/kafka/decode.go" && of.Name == "deadletters" && n.Sel.Name != "Header" {
					names = append(names, n.Sel.Name)
				}
			}
			return true
		})
	})
	var given []string
	for _, name := range names {
		if reason := values[name]; reason != "" { // other names are types
			given = append(given, reason)
		}
	}
	if !slices.Equal(given, deadletters.Reasons) {
		t.Errorf("the consumer gives %v, and to choose are %v", given, deadletters.Reasons)
	}
	var explained []string
	for _, row := range rows(document(t, "runbook.md")) {
		explained = append(explained, spans(row[0])...)
	}
	for _, reason := range deadletters.Reasons {
		if !slices.Contains(explained, reason) {
			t.Errorf("docs/runbook.md does not explain %s", reason)
		}
	}
}
