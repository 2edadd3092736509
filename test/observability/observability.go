// Package observability reads what deploy/observability asks of the service's
// metrics. It is for tests, in packages that are as deep as this one.
package observability

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Alert is one of Prometheus' rules.
type Alert struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

// Alerts reads those that there are.
func Alerts(t *testing.T) (all []Alert) {
	t.Helper()
	var rules struct{ Groups []struct{ Rules []Alert } }
	if err := yaml.Unmarshal(deployed(t, "prometheus", "rules.yml"), &rules); err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Groups {
		all = append(all, group.Rules...)
	}
	return enough(t, all, 10)
}

// Panel is one of the dashboard's.
type Panel struct {
	Title, Type string
	Targets     []struct{ Expr string }
}

// Panels reads those that there are, also the rows that only have a title.
func Panels(t *testing.T) []Panel {
	t.Helper()
	var dashboard struct{ Panels []Panel }
	if err := json.Unmarshal(deployed(t, "grafana", "dashboards", "service-courier.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	return enough(t, dashboard.Panels, 20)
}

// enough fails the test that no longer sees what it is about.
func enough[T any](t *testing.T, all []T, least int) []T {
	t.Helper()
	if len(all) < least {
		t.Fatalf("found %d, want %d at least: this test no longer sees them", len(all), least)
	}
	return all
}

func deployed(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "deploy", "observability"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Query is what an alert or a panel asks for of one metric of a process.
type Query struct {
	Where  string // the alert or the panel
	Metric string
	Labels []string // without those that the scrape adds
}

// Queries are those of all alerts and panels.
func Queries(t *testing.T) (all []Query) {
	t.Helper()
	for _, a := range Alerts(t) {
		all = append(all, queries(a.Alert, a.Expr)...)
	}
	for _, p := range Panels(t) {
		for _, target := range p.Targets {
			all = append(all, queries(p.Title, target.Expr)...)
		}
	}
	return enough(t, all, 30)
}

var (
	selector = regexp.MustCompile(`\b((?:courier|process|go)_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)(?:=|!=|=~|!~)"`)
	grouping = regexp.MustCompile(`\b(?:by|on)\s*\(([a-z_, ]*)\)`)
)

// queries takes an expression apart. Its groupings count for each of its metrics:
// where there are several, they are grouped alike.
func queries(where, expression string) (all []Query) {
	var grouped []string
	for _, found := range grouping.FindAllStringSubmatch(expression, -1) {
		for label := range strings.SplitSeq(found[1], ",") {
			grouped = append(grouped, strings.TrimSpace(label))
		}
	}
	for _, found := range selector.FindAllStringSubmatch(expression, -1) {
		labels := slices.Clone(grouped)
		for _, match := range matcher.FindAllStringSubmatch(found[2], -1) {
			labels = append(labels, match[1])
		}
		labels = slices.DeleteFunc(labels, func(l string) bool { return l == "job" || l == "instance" })
		all = append(all, Query{where, found[1], labels})
	}
	return all
}
