// Package observability reads the queries of the alerts and the dashboard in
// deploy/observability. Tests in packages of this depth use it.
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

// Alert is an alerting rule of Prometheus.
type Alert struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

// Alerts returns all alerts.
func Alerts(t *testing.T) (all []Alert) {
	t.Helper()
	var rules struct{ Groups []struct{ Rules []Alert } }
	if err := yaml.Unmarshal(readFile(t, "prometheus", "rules.yml"), &rules); err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Groups {
		all = append(all, group.Rules...)
	}
	return atLeast(t, 10, all)
}

// Panel is a panel of the dashboard.
type Panel struct {
	Title, Type string
	Targets     []struct{ Expr string }
}

// Panels returns all panels, with the rows, which only have a title.
func Panels(t *testing.T) []Panel {
	t.Helper()
	var dashboard struct{ Panels []Panel }
	if err := json.Unmarshal(readFile(t, "grafana", "dashboards", "service-courier.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	return atLeast(t, 20, dashboard.Panels)
}

// atLeast fails a test that no longer finds what it checks.
func atLeast[T any](t *testing.T, least int, all []T) []T {
	t.Helper()
	if len(all) < least {
		t.Fatalf("found %d, want at least %d: this test no longer finds them", len(all), least)
	}
	return all
}

func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "deploy", "observability"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Query is the use of one metric by an alert or a panel.
type Query struct {
	Where  string // the alert or the panel
	Metric string
	Labels []string // without job and instance, which the scrape adds
}

// Queries returns the queries of all alerts and panels.
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
	return atLeast(t, 30, all)
}

var (
	selector = regexp.MustCompile(`\b((?:courier|process|go)_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)(?:=|!=|=~|!~)"`)
	grouping = regexp.MustCompile(`\b(?:by|on)\s*\(([a-z_, ]*)\)`)
)

// queries parses an expression. Its groupings apply to each of its metrics.
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
