package faults

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// ofNoConsequence are the functions of the product that read this machine's wall
// clock, with the reason why it may be wrong.
var ofNoConsequence = map[string]string{
	"internal/gateway/order/breaker.go Get":          "a duration: monotonic",
	"internal/gateway/order/breaker.go succeeded":    "a duration: monotonic",
	"internal/metrics/alarms.go Stand":               "said to be this machine's; the scraper is as good",
	"internal/app/banner.go newCourier":              "a phone number for the banner of dev",
	"internal/app/deadletters.go ListDeadLetters":    "ages, for a person",
	"internal/app/resync.go Resync":                  "a duration: monotonic",
	"internal/app/doctor_database.go serverFindings": "compares the two clocks",
	"internal/outage/outage.go Failed":               "a duration: monotonic",
	"internal/transport/rest/access_log.go logged":   "a duration: monotonic",
	"internal/transport/kafka/stuck.go again":        "a duration: monotonic",
	"internal/transport/kafka/reset.go due":          "a duration: monotonic",
	"cmd/service-courier/resync.go resync":           "what a person means by --since; the sweep looks its overlap further back",
}

// TestNothingGoesByTheWallClock: whatever comes due does so by PostgreSQL's clock,
// and durations are monotonic. A function of the product that asks this machine
// for the time is named above with the reason why a wrong one does no harm; a new
// one fails here.
func TestNothingGoesByTheWallClock(t *testing.T) {
	asks := make(map[string]bool)
	eachSource(t, func(path string, file *ast.File) {
		for _, decl := range file.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(function, func(n ast.Node) bool {
				call, ok := n.(*ast.SelectorExpr)
				if ok && (isSelector(call, "time", "Now") || call.Sel.Name == "SetToCurrentTime") {
					asks[path+" "+function.Name.Name] = true
				}
				return true
			})
		}
	})
	for who := range asks {
		if ofNoConsequence[who] == "" {
			t.Errorf("%s asks this machine for the time: let PostgreSQL say what is due, or say above why it does no harm", who)
		}
	}
	for who := range ofNoConsequence {
		if !asks[who] {
			t.Errorf("%s does not ask for the time any more", who)
		}
	}
}

// eachSource calls do with every source file of the product: not its tests, nor
// service-order's simulator and the embedded servers of dev.
func eachSource(t *testing.T, do func(path string, file *ast.File)) {
	t.Helper()
	const root = "../.."
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
