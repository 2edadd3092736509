package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/worker"
)

// tasks are the metrics of the periodic tasks, and what monitoring and the invariant
// check found.
type tasks struct {
	runs        *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	lastSuccess *prometheus.GaugeVec

	missing, missingOldest, waiting, waitingOldest, stateLost prometheus.Gauge

	// Vectors without labels: absent, not 0, before the first check.
	violated, checked *prometheus.GaugeVec
}

func newTasks(f factory) tasks {
	return tasks{
		runs: f.counters("task_runs_total", "Rounds of a periodic task, by result: succeeded, failed, panicked, or skipped "+
			"(service-order is unavailable, or another replica leads).", "task", "result"),
		duration:    f.histograms("task_duration_seconds", "Duration of the rounds of a periodic task that were not skipped.", []float64{.001, .01, .1, 1, 10, 60, 600}, "task"),
		lastSuccess: f.gauges("task_last_success_timestamp_seconds", "When a periodic task last succeeded on this replica, by its clock.", "task"),

		missing:       f.gauge("missing_orders", "Active orders that service-order answers 404 for."),
		missingOldest: f.gauge("missing_oldest_seconds", "Time since the first of the missing orders has been missing; 0 if there is none."),
		waiting:       f.gauge("waiting_orders", "Waiting orders, the missing ones included."),
		waitingOldest: f.gauge("waiting_oldest_seconds", "Age of the oldest waiting order that is not missing; 0 if there is none."),
		stateLost:     f.gauge("order_service_state_lost", "1 while active orders are missing that service-order lost with its state: it answered 404 for most active orders."),

		violated: f.gauges("invariants_violated", "Violations that the last invariant check of this replica found; absent before its first check."),
		checked: f.gauges("invariant_check_finished_timestamp_seconds",
			"When this replica last finished an invariant check, by its clock; absent before its first check."),
	}
}

// TaskFinished implements worker.Observer.
func (t tasks) TaskFinished(task string, result worker.Result, took time.Duration) {
	t.runs.WithLabelValues(task, string(result)).Inc()
	if result != worker.Skipped {
		t.duration.WithLabelValues(task).Observe(took.Seconds())
	}
	if result == worker.Succeeded {
		t.lastSuccess.WithLabelValues(task).SetToCurrentTime()
	}
}

// SetActiveOrders sets the metrics of the active orders.
func (t tasks) SetActiveOrders(s orderevent.ActiveOrders) {
	t.missing.Set(float64(s.Missing))
	t.missingOldest.Set(s.MissingOldest.Seconds())
	t.waiting.Set(float64(s.Waiting))
	t.waitingOldest.Set(s.WaitingOldest.Seconds())
	t.stateLost.Set(zeroOrOne(s.StateLost()))
}

// InvariantsChecked sets the result of an invariant check that finished.
func (t tasks) InvariantsChecked(violated int) {
	t.violated.WithLabelValues().Set(float64(violated))
	t.checked.WithLabelValues().SetToCurrentTime()
}
