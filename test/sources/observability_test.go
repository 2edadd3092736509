package sources

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"service-courier/internal/metrics"
	"service-courier/test/observability"
)

// registered returns the names of the service's metrics, including those without a
// value yet.
func registered() []string {
	m := metrics.New()
	m.RegisterBreaker(nil)
	m.RegisterConsumer(nil)
	m.RegisterDatabase(nil, nil)
	m.RegisterOutbox(nil)
	m.RegisterStream(nil)
	return m.Names()
}

// TestAlertsAndDashboardsUseRegisteredMetrics covers metrics that have a value only
// after an event, too. test/api checks the values of a running service.
func TestAlertsAndDashboardsUseRegisteredMetrics(t *testing.T) {
	names := registered()
	for _, name := range names {
		names = append(names, name+"_bucket", name+"_count", name+"_sum") // of histograms
	}
	for _, q := range observability.Queries(t) {
		if !slices.Contains(names, q.Metric) {
			t.Errorf("%s uses %s, which is not a metric of the service", q.Where, q.Metric)
		}
	}
}

// TestAlertsLinkToTheRunbook: each alert names a section of the runbook.
func TestAlertsLinkToTheRunbook(t *testing.T) {
	var sections []string
	for l := range strings.Lines(document(t, "runbook.md")) {
		if title, ok := strings.CutPrefix(l, "## "); ok {
			sections = append(sections, anchor(title))
		}
	}
	for _, a := range observability.Alerts(t) {
		section, ok := strings.CutPrefix(a.Annotations["runbook_url"], "docs/runbook.md#")
		if !ok || !slices.Contains(sections, section) {
			t.Errorf("%s: the runbook has no section %q", a.Alert, a.Annotations["runbook_url"])
		}
		if a.Labels["severity"] == "" || a.Annotations["summary"] == "" {
			t.Errorf("%s has no severity or no summary", a.Alert)
		}
	}
}

// anchor returns the URL fragment of a heading.
func anchor(title string) string {
	title = strings.ToLower(strings.TrimSpace(title))
	return strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(title, ""), " ", "-")
}

func TestPanelsHaveQueries(t *testing.T) {
	for _, p := range observability.Panels(t) {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s has no query", p.Title)
		}
	}
}
