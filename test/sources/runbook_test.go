package sources

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryAlarmIsInTheRunbook: every message that the product logs at warn or
// error, and everything whose outage it tells, is a line of the runbook's tables,
// word for word up to an ellipsis. A message that is not a constant fails too.
func TestEveryAlarmIsInTheRunbook(t *testing.T) {
	var lines []string
	for _, row := range rows(document(t, "runbook.md")) {
		lines = append(lines, spans(row[0])...)
	}
	known := func(message string) bool {
		return slices.ContainsFunc(lines, func(line string) bool {
			begin, cut := strings.CutSuffix(line, "…")
			return line == message || cut && len(begin) > 20 && strings.HasPrefix(message, strings.TrimSpace(begin))
		})
	}
	found := 0
	eachSource(t, func(path string, file *ast.File) {
		for _, message := range alarmsOf(file) {
			found++
			switch {
			case message == "":
				t.Errorf("%s logs an alarm whose message is not a constant", path)
			case !known(message):
				t.Errorf("docs/runbook.md does not say what to do about %q (%s)", message, path)
			}
		}
	})
	if found < 20 {
		t.Errorf("found only %d messages: this test no longer sees them", found)
	}
}

// alarmsOf returns the messages that a file logs at warn or error, "" for one that
// is no constant, and the names of its outages.
func alarmsOf(file *ast.File) (messages []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		function, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch name := function.Sel.Name; {
		case isSelector(function, "outage", "New"):
			messages = append(messages, text(call.Args[1]))
		case name == "WarnContext", name == "ErrorContext":
			messages = append(messages, text(call.Args[1]))
		case name == "Warn", name == "Error" && len(call.Args) > 0:
			messages = append(messages, text(call.Args[0]))
		case name == "LogAttrs" && isAlarm(call.Args[1]), name == "Log" && isAlarm(call.Args[1]):
			messages = append(messages, text(call.Args[2]))
		}
		return true
	})
	return messages
}

// isAlarm reports slog's levels of alarms. One that is computed counts as well.
func isAlarm(level ast.Expr) bool {
	selector, ok := level.(*ast.SelectorExpr)
	return !ok || !isSelector(selector, "slog", "LevelInfo") && !isSelector(selector, "slog", "LevelDebug")
}

// text is the value of a string literal.
func text(e ast.Expr) string {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return value
}

// TestEveryMetricIsInTheRunbook: every metric of the service's own is named in the
// runbook's table of metrics, and no other.
func TestEveryMetricIsInTheRunbook(t *testing.T) {
	registered := registered()
	var documented []string
	for _, row := range rows(document(t, "runbook.md")) {
		for _, span := range spans(row[0]) {
			if name, _, _ := strings.Cut(span, "{"); strings.HasPrefix(name, "courier_") {
				documented = append(documented, name)
			}
		}
	}
	for _, name := range registered {
		if strings.HasPrefix(name, "courier_") && !slices.Contains(documented, name) {
			t.Errorf("docs/runbook.md does not say what to watch %s for", name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(registered, name) {
			t.Errorf("docs/runbook.md names %s, which is no metric of the service", name)
		}
	}
}
