package sources

import (
	"go/ast"
	"testing"
)

// TestOrderIDsAreParsed: only ParseOrderID makes an order id of a text, so that no id leaves
// its URL path. A conversion elsewhere would not check it.
func TestOrderIDsAreParsed(t *testing.T) {
	eachSource(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if typ, ok := call.Fun.(*ast.SelectorExpr); ok && isSelector(typ, "courier", "OrderID") {
				t.Errorf("%s converts a text to courier.OrderID: use courier.ParseOrderID", path)
			}
			return true
		})
	})
}
