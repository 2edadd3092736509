package sources

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"service-courier/internal/metrics"
)

// metricName finds the names of metrics of the service in an expression.
var metricName = regexp.MustCompile(`courier_[a-z0-9_]+`)

// exported are the names that the service exports, also those a histogram adds.
func exported() []string {
	m := metrics.New()
	m.WatchBreaker(nil)
	m.WatchConsumer(nil)
	m.WatchState(nil, nil)
	m.WatchStream(nil)
	names := m.Names()
	for _, name := range names {
		names = append(names, name+"_bucket", name+"_count", name+"_sum")
	}
	return names
}

// holdExpression fails the test when an expression asks for a metric that the
// service does not have: such an alert never fires.
func holdExpression(t *testing.T, where, expression string, names []string) {
	t.Helper()
	for _, name := range metricName.FindAllString(expression, -1) {
		if !slices.Contains(names, name) {
			t.Errorf("%s asks for %s, which the service does not export", where, name)
		}
	}
}

func deployed(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "deploy", "observability"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestAlertsAskForWhatIsExported, and each has a section of the runbook that says
// what to do.
func TestAlertsAskForWhatIsExported(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(deployed(t, "prometheus", "rules.yml"), &rules); err != nil {
		t.Fatal(err)
	}
	var sections []string
	for l := range strings.Lines(document(t, "runbook.md")) {
		if title, ok := strings.CutPrefix(l, "## "); ok {
			sections = append(sections, anchor(title))
		}
	}
	names, seen := exported(), 0
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			seen++
			holdExpression(t, r.Alert, r.Expr, names)
			section, ok := strings.CutPrefix(r.Annotations["runbook_url"], "docs/runbook.md#")
			if !ok || !slices.Contains(sections, section) {
				t.Errorf("%s: no section of the runbook is %q", r.Alert, r.Annotations["runbook_url"])
			}
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("%s has no severity or no summary", r.Alert)
			}
		}
	}
	if seen < 10 {
		t.Errorf("found %d alerts: this test no longer sees them", seen)
	}
}

// anchor is the fragment that a heading has.
func anchor(title string) string {
	title = strings.ToLower(strings.TrimSpace(title))
	return strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(title, ""), " ", "-")
}

func TestDashboardAsksForWhatIsExported(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(deployed(t, "grafana", "dashboards", "service-courier.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	names, seen := exported(), 0
	for _, p := range dashboard.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			seen++
			holdExpression(t, p.Title, target.Expr, names)
		}
	}
	if seen < 20 {
		t.Errorf("found %d expressions: this test no longer sees them", seen)
	}
}
