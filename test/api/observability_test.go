package api

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"service-courier/test/observability"
)

// afterAnEvent are the metrics that a service at work need not have, with what they
// come after.
var afterAnEvent = map[string]string{
	"courier_offset_resets_total":              "the group's place in the topic was lost",
	"courier_invariants_broken":                "the first audit, ten minutes after the start",
	"courier_audit_finished_timestamp_seconds": "as above",
}

// TestServiceHasWhatAlertsAndDashboardAskFor, wired as it is: an alert on what is not
// there never fires. It fails when newService leaves out one of the metrics' Watch
// functions.
func TestServiceHasWhatAlertsAndDashboardAskFor(t *testing.T) {
	s := newStack(t, 1)
	s.becomes(s.order(), "assigned")
	var text string
	s.eventually("the metrics tell of the event and of the assignment", func() bool {
		_, text = s.call("GET /metrics", "")
		return strings.Contains(text, "\ncourier_records_total 1\n") && strings.Contains(text, "\ncourier_assignments_total 1\n")
	})
	has, asked := labelsByMetric(text), make(map[string]bool)
	for _, q := range observability.Queries(t) {
		asked[q.Metric] = true
		labels, there := has[q.Metric]
		if afterAnEvent[q.Metric] != "" {
			continue
		}
		if !there {
			t.Errorf("%s asks for %s, which the service does not have", q.Where, q.Metric)
		}
		for _, label := range q.Labels {
			if there && !slices.Contains(labels, label) {
				t.Errorf("%s asks for %s by %s, but it has only %v", q.Where, q.Metric, label, labels)
			}
		}
	}
	for name := range afterAnEvent {
		if _, there := has[name]; there || !asked[name] {
			t.Errorf("%s is there at once, or nobody asks for it", name)
		}
	}
	if !strings.Contains(text, "\ncourier_consumer_joined 1\n") {
		t.Error("it does not say that it is in the consumer group")
	}
}

var (
	series = regexp.MustCompile(`(?m)^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? \S+$`)
	label  = regexp.MustCompile(`([a-z_]+)="`)
)

// labelsByMetric reads what /metrics answers.
func labelsByMetric(text string) map[string][]string {
	all := make(map[string][]string)
	for _, found := range series.FindAllStringSubmatch(text, -1) {
		labels := all[found[1]]
		for _, l := range label.FindAllStringSubmatch(found[2], -1) {
			labels = append(labels, l[1])
		}
		all[found[1]] = labels
	}
	return all
}
