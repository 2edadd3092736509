package sources

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"service-courier/internal/metrics"
	"service-courier/test/observability"
)

// registered are the names of the metrics that the service has, also of those that
// have no value yet.
func registered() []string {
	m := metrics.New()
	m.WatchBreaker(nil)
	m.WatchConsumer(nil)
	m.WatchState(nil, nil)
	m.WatchStream(nil)
	return m.Names()
}

// TestAlertsAndDashboardAskForWhatIsRegistered: also for what the service has only
// after an event. What it has at work, test/api sees.
func TestAlertsAndDashboardAskForWhatIsRegistered(t *testing.T) {
	names := registered()
	for _, name := range names {
		names = append(names, name+"_bucket", name+"_count", name+"_sum") // of histograms
	}
	for _, q := range observability.Queries(t) {
		if !slices.Contains(names, q.Metric) {
			t.Errorf("%s asks for %s, which the service does not have", q.Where, q.Metric)
		}
	}
}

// TestAlertsSayWhatToDo: each has a section of the runbook.
func TestAlertsSayWhatToDo(t *testing.T) {
	var sections []string
	for l := range strings.Lines(document(t, "runbook.md")) {
		if title, ok := strings.CutPrefix(l, "## "); ok {
			sections = append(sections, anchor(title))
		}
	}
	for _, a := range observability.Alerts(t) {
		section, ok := strings.CutPrefix(a.Annotations["runbook_url"], "docs/runbook.md#")
		if !ok || !slices.Contains(sections, section) {
			t.Errorf("%s: no section of the runbook is %q", a.Alert, a.Annotations["runbook_url"])
		}
		if a.Labels["severity"] == "" || a.Annotations["summary"] == "" {
			t.Errorf("%s has no severity or no summary", a.Alert)
		}
	}
}

// anchor is the fragment that a heading has.
func anchor(title string) string {
	title = strings.ToLower(strings.TrimSpace(title))
	return strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(title, ""), " ", "-")
}

func TestPanelsShowSomething(t *testing.T) {
	for _, p := range observability.Panels(t) {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
	}
}
