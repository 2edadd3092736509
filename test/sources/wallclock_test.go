package sources

import (
	"go/ast"
	"testing"
)

// wallClockReads are the functions of the product that read this machine's clock,
// with the reason why a wrong clock does no harm.
var wallClockReads = map[string]string{
	"internal/gateway/order/breaker.go Get":               "a duration: monotonic",
	"internal/gateway/order/breaker.go get":               "a duration: monotonic",
	"internal/gateway/order/breaker.go probe":             "a duration: monotonic",
	"internal/gateway/order/breaker.go recordAnswer":      "a duration: monotonic",
	"internal/app/devmode/banner.go newCourier":           "a phone number for the banner of dev",
	"internal/cli/dead_letters.go ListDeadLetters":        "ages, for a person",
	"internal/cli/monitoring.go Statistics":               "the day of --today",
	"internal/cli/watch.go show":                          "when a listing was shown, for a person",
	"internal/cli/database.go Resync":                     "a duration: monotonic",
	"internal/cli/doctor/doctor.go checkOrderService":     "the start of a list that is not read, to keep it short",
	"internal/cli/doctor/server.go diagnose":              "compares the two clocks",
	"internal/cli/doctor/database.go serverFindings":      "compares the two clocks",
	"internal/access/file.go reread":                      "a duration: monotonic",
	"internal/transport/rest/access.go authorize":         "a duration: monotonic",
	"internal/app/app.go New":                             "the day with which a period of the statistics ends when the request names none",
	"internal/usecase/livefeed/hub.go round":              "a duration: monotonic",
	"internal/usecase/livefeed/hub.go readSnapshot":       "a duration: monotonic",
	"internal/usecase/livefeed/reader.go noteBlocked":     "a duration: monotonic",
	"internal/transport/rest/sse.go setDeadline":          "a duration: monotonic",
	"internal/transport/rest/sse.go begin":                "a duration: monotonic",
	"internal/metrics/database.go gauges":                 "a duration: monotonic",
	"internal/metrics/processing.go Begin":                "a duration: monotonic",
	"internal/metrics/processing.go Get":                  "a duration: monotonic",
	"internal/metrics/history.go totals":                  "when a sample was taken, for a person, and a duration",
	"internal/metrics/tasks.go TaskFinished":              "this machine's by its help; the scraper's is no better",
	"internal/metrics/tasks.go InvariantsChecked":         "as TaskFinished",
	"internal/outage/outage.go recovered":                 "a duration: monotonic",
	"internal/outage/outage.go Failed":                    "a duration: monotonic",
	"internal/outage/outage.go failed":                    "a duration: monotonic",
	"internal/transport/rest/observe.go logRequests":      "a duration: monotonic",
	"internal/tracing/tracing.go Begin":                   "when a span began, for a person",
	"internal/transport/rest/observe.go measureRequests":  "a duration: monotonic",
	"internal/transport/rest/refusals.go admit":           "a duration: monotonic",
	"internal/transport/rest/shared.go run":               "a duration: monotonic",
	"internal/transport/kafka/consumer.go observe":        "a duration: monotonic",
	"internal/worker/retention.go run":                    "a duration: monotonic",
	"internal/worker/task.go loop":                        "a duration: monotonic",
	"internal/transport/kafka/stalled.go failed":          "a duration: monotonic",
	"internal/transport/kafka/hung.go newAnswers":         "a duration: monotonic",
	"internal/transport/kafka/client.go OnConsume":        "compared within the process only: monotonic",
	"internal/usecase/records/feed.go read":               "a duration: monotonic",
	"internal/usecase/records/feed.go shared":             "a duration: monotonic",
	"internal/transport/kafka/event_connection.go send":   "the time of a record, as each client of Kafka sets it",
	"internal/transport/kafka/records.go Read":            "a duration: monotonic",
	"internal/transport/web/plain.go Board":               "ages and the time left, for a person, as the other pages show them",
	"internal/usecase/orderevent/summary.go report":       "a duration: monotonic",
	"internal/usecase/orderevent/queue.go fetchStarting":  "compared within the process only: monotonic",
	"internal/transport/kafka/consumer.go allow":          "a duration: monotonic",
	"cmd/service-courier/main.go awaitSecond":             "a duration: monotonic",
	"cmd/service-courier/operator.go outboxCommand":       "the start of --since, as an operator gives it",
	"cmd/service-courier/operator.go resyncCommand":       "the start of --since; the resync adds its overlap",
	"internal/app/devmode/playground.go begin":            "a duration: monotonic",
	"internal/app/devmode/playground_check.go newChecker": "compared within the process only: monotonic",
	"internal/app/devmode/playground_check.go latest":     "compared within the process only: monotonic",
	"internal/app/devmode/playground_check.go finish":     "compared within the process only: monotonic",
	"internal/app/devmode/playground_check.go run":        "compared with the simulator, which is in this process",
}

// TestNoDueTimeUsesTheWallClock: due times are PostgreSQL's and durations are
// monotonic. Every function that reads this machine's clock is listed above.
func TestNoDueTimeUsesTheWallClock(t *testing.T) {
	reads := make(map[string]bool)
	eachSource(t, func(path string, file *ast.File) {
		for _, decl := range file.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(function, func(n ast.Node) bool {
				call, ok := n.(*ast.SelectorExpr)
				if ok && (isSelector(call, "time", "Now") || call.Sel.Name == "SetToCurrentTime") {
					reads[path+" "+function.Name.Name] = true
				}
				return true
			})
		}
	})
	for function := range reads {
		if wallClockReads[function] == "" {
			t.Errorf("%s reads this machine's clock: use PostgreSQL's for due times, or add the function with a reason", function)
		}
	}
	for function := range wallClockReads {
		if !reads[function] {
			t.Errorf("%s no longer reads the clock: remove it", function)
		}
	}
}
