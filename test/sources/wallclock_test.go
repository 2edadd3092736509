package sources

import (
	"go/ast"
	"testing"
)

// ofNoConsequence are the functions of the product that read this machine's wall
// clock, with the reason why it may be wrong.
var ofNoConsequence = map[string]string{
	"internal/gateway/order/breaker.go Get":          "a duration: monotonic",
	"internal/gateway/order/breaker.go alive":        "a duration: monotonic",
	"internal/gateway/order/breaker.go succeeded":    "a duration: monotonic",
	"internal/metrics/alarms.go Stand":               "said to be this machine's; the scraper is as good",
	"internal/metrics/alarms.go Broken":              "as Stand's",
	"internal/app/banner.go newCourier":              "a phone number for the banner of dev",
	"internal/app/deadletters.go ListDeadLetters":    "ages, for a person",
	"internal/app/resync.go Resync":                  "a duration: monotonic",
	"internal/app/doctor_database.go serverFindings": "compares the two clocks",
	"internal/access/file.go reread":                 "a duration: monotonic",
	"internal/transport/rest/access.go authorised":   "a duration: monotonic",
	"internal/app/service.go newService":             "the day with which a period of the statistics ends when nobody says one",
	"internal/usecase/livefeed/hub.go takeSnapshot":  "a duration: monotonic",
	"internal/transport/rest/stream_events.go bound": "a duration: monotonic",
	"internal/transport/rest/stream_events.go begin": "a duration: monotonic",
	"internal/outage/outage.go Failed":               "a duration: monotonic",
	"internal/transport/rest/access_log.go logged":   "a duration: monotonic",
	"internal/tracing/tracing.go Begin":              "when a span began, for a person",
	"internal/metrics/state.go fresh":                "a duration: monotonic",
	"internal/metrics/work.go Begin":                 "a duration: monotonic",
	"internal/metrics/work.go Get":                   "a duration: monotonic",
	"internal/transport/rest/access_log.go measured": "a duration: monotonic",
	"internal/transport/kafka/stuck.go again":        "a duration: monotonic",
	"internal/worker/old.go remove":                  "a duration: monotonic",
	"internal/transport/kafka/config.go OnConsume":   "compared within the process only: monotonic",
	"internal/usecase/orderevent/queue.go asking":    "compared within the process only: monotonic",
	"internal/transport/kafka/reset.go due":          "a duration: monotonic",
	"cmd/service-courier/main.go awaitAnother":       "a duration: monotonic",
	"cmd/service-courier/resync.go resync":           "what a person means by --since; the sweep looks its overlap further back",
}

// TestNothingGoesByTheWallClock: whatever comes due does so by PostgreSQL's clock,
// and durations are monotonic. A function of the product that asks this machine
// for the time is named above with the reason why a wrong one does no harm; a new
// one fails here.
func TestNothingGoesByTheWallClock(t *testing.T) {
	asks := make(map[string]bool)
	eachSource(t, func(path string, file *ast.File) {
		for _, decl := range file.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(function, func(n ast.Node) bool {
				call, ok := n.(*ast.SelectorExpr)
				if ok && (isSelector(call, "time", "Now") || call.Sel.Name == "SetToCurrentTime") {
					asks[path+" "+function.Name.Name] = true
				}
				return true
			})
		}
	})
	for who := range asks {
		if ofNoConsequence[who] == "" {
			t.Errorf("%s asks this machine for the time: let PostgreSQL say what is due, or say above why it does no harm", who)
		}
	}
	for who := range ofNoConsequence {
		if !asks[who] {
			t.Errorf("%s does not ask for the time any more", who)
		}
	}
}
