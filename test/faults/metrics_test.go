package faults

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
)

// metric is what the replica that was started last says of a metric: the sum over
// its labels, of those series that have the label given ("" for all); 0 when
// there are none, -1 while it does not answer.
func (w *world) metric(name, label string) (sum float64) {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.serviceURL()+"/metrics", http.NoBody)
	w.must(err)
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return -1
	}
	defer func() { w.check(answer.Body.Close()) }()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		family, labels, _ := strings.Cut(series, "{")
		if family != name || !strings.Contains(labels, label) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		w.must(err)
		sum += number
	}
	return sum
}

// lostItsPlace waits until a replica has told that the group's place was lost:
// by the metrics and once in the log, and by a sweep at once, beside the one that
// every replica begins with.
func (w *world) lostItsPlace(cause string, records float64, sweepsBefore int64) {
	w.Helper()
	w.eventually("the metric tells of "+cause+" offsets", func() bool {
		return w.metric("courier_offset_resets_total", `cause="`+cause+`"`) > 0 && w.metric("courier_records_lost_total", "") == records
	})
	if n := w.logs.times("the group's place in the topic was lost"); n != 1 {
		w.Errorf("it was logged %d times, want once", n)
	}
	w.eventually("a sweep is made at once", func() bool { return w.front.lists.Load() >= sweepsBefore+2 })
}
