package sources

import (
	"go/ast"
	"go/token"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"service-courier/internal/logging"
)

// TestEveryAlarmIsInTheRunbook: every message that the product logs at warn or error,
// and every name of an outage, is in a table of the runbook, word for word up to an
// ellipsis. A message that is not a constant fails too.
func TestEveryAlarmIsInTheRunbook(t *testing.T) {
	sections := sectionsOfSymptoms(document(t, "runbook.md"))
	known := func(message string) (section string, ok bool) {
		for line, section := range sections {
			begin, cut := strings.CutSuffix(line, "…")
			if line == message || cut && len(begin) > 20 && strings.HasPrefix(message, strings.TrimSpace(begin)) {
				return section, true
			}
		}
		return "", false
	}
	found := 0
	eachSource(t, func(path string, file *ast.File) {
		for _, message := range alarmsOf(file) {
			found++
			section, ok := known(message)
			switch logged := logging.Section(slog.NewRecord(time.Time{}, slog.LevelWarn, message, 0)); {
			case message == "":
				t.Errorf("%s logs an alarm whose message is not a constant", path)
			case !ok:
				t.Errorf("docs/runbook.md does not say what to do about %q (%s)", message, path)
			case logged != section && message != everyOutage:
				t.Errorf("internal/logging/runbook.go: %q: %q, want %q (%s)", message, logged, section, path)
			}
		}
	})
	if found < 20 {
		t.Errorf("found only %d messages: this test no longer sees them", found)
	}
}

// everyOutage is logged with a component, whose section counts.
const everyOutage = "dependency unavailable, retrying"

// sectionsOfSymptoms returns the section of each text between backticks in the first
// cells of the tables.
func sectionsOfSymptoms(text string) map[string]string {
	sections, section := make(map[string]string), ""
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = "#" + anchor(strings.TrimSpace(title))
		}
		for _, row := range rows(line) {
			for _, span := range spans(row[0]) {
				sections[span] = section
			}
		}
	}
	return sections
}

// alarmsOf returns the messages that a file logs at warn or error, "" for one that
// is no constant, and the names of its outages.
func alarmsOf(file *ast.File) (messages []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		if task, ok := n.(*ast.CompositeLit); ok {
			messages = append(messages, nameOfTask(task)...)
		}
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
			if name, ok := call.Args[1].(*ast.SelectorExpr); !ok || name.Sel.Name != "Name" { // of a Task: see above
				messages = append(messages, text(call.Args[1]))
			}
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

// nameOfTask returns the name of a worker.Task, which its outage reporter logs.
func nameOfTask(literal *ast.CompositeLit) []string {
	if name, ok := literal.Type.(*ast.Ident); !ok || name.Name != "Task" {
		return nil
	}
	for _, field := range literal.Elts {
		if pair, ok := field.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Name" {
				return []string{text(pair.Value)}
			}
		}
	}
	return nil
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
