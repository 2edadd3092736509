package sources

import (
	"go/ast"
	"slices"
	"strings"
	"testing"

	"service-courier/internal/usecase/deadletters"
)

// TestReasonsOfDeadLetters: those that the consumer gives are those that can be
// chosen, and docs/dead-letters.md and the runbook explain each.
func TestReasonsOfDeadLetters(t *testing.T) {
	var given []string
	eachSource(t, func(path string, file *ast.File) {
		if path != "internal/transport/kafka/decode.go" {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if c, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(c.Names[0].Name, "reason") && len(c.Values) == 1 {
				given = append(given, text(c.Values[0]))
			}
			return true
		})
	})
	if !slices.Equal(given, deadletters.Reasons) {
		t.Errorf("the consumer gives %v, and to choose are %v", given, deadletters.Reasons)
	}
	for _, name := range []string{"dead-letters.md", "runbook.md"} {
		var explained []string
		for _, row := range rows(document(t, name)) {
			explained = append(explained, spans(row[0])...)
		}
		for _, reason := range deadletters.Reasons {
			if !slices.Contains(explained, reason) {
				t.Errorf("docs/%s does not explain %s", name, reason)
			}
		}
	}
}
