package api

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"service-courier/internal/config"
	"service-courier/test/observability"
)

// laterMetrics are the metrics that a running service does not have at once, with
// their cause.
var laterMetrics = map[string]string{
	"courier_offset_resets_total":                        "a committed offset was lost",
	"courier_invariants_violated":                        "the first invariant check, ten minutes after the start",
	"courier_invariant_check_finished_timestamp_seconds": "as above",
}

// TestServiceHasQueriedMetrics: the service has every metric that an alert or the
// dashboard queries; an alert on a missing one never fires. It fails when app.New omits
// one of the Register functions of package metrics.
func TestServiceHasQueriedMetrics(t *testing.T) {
	s := newStack(t, 1, func(c *config.Config) { c.KafkaAssignmentTopic = assignmentTopic })
	s.becomes(s.order(), "assigned")
	var text string
	s.eventually("the metrics count the event and the assignment", func() bool {
		_, text = s.call("GET /metrics", "")
		return strings.Contains(text, "\ncourier_records_total 1\n") && strings.Contains(text, "\ncourier_assignments_total 1\n")
	})
	has, queried := labelsByMetric(text), make(map[string]bool)
	for _, q := range observability.Queries(t) {
		queried[q.Metric] = true
		labels, there := has[q.Metric]
		if laterMetrics[q.Metric] != "" {
			continue
		}
		if !there {
			t.Errorf("%s queries %s, which the service does not have", q.Where, q.Metric)
		}
		for _, label := range q.Labels {
			if there && !slices.Contains(labels, label) {
				t.Errorf("%s queries %s by %s, but it has only %v", q.Where, q.Metric, label, labels)
			}
		}
	}
	for name := range laterMetrics {
		if _, there := has[name]; there || !queried[name] {
			t.Errorf("%s is there at once, or never queried", name)
		}
	}
	if !strings.Contains(text, "\ncourier_consumer_joined 1\n") {
		t.Error("courier_consumer_joined is not 1")
	}
}

var (
	series = regexp.MustCompile(`(?m)^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? \S+$`)
	label  = regexp.MustCompile(`([a-z_]+)="`)
)

// labelsByMetric parses /metrics.
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
