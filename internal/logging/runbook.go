package logging

const httpAPI = "#http-api"

// sections are those of the runbook on each message and on each component of an outage;
// test/sources compares them with the document.
var sections = invert(map[string][]string{
	"#dead-letters": {
		"dead letters stored",
	},
	"#deliveries": {
		"orders waiting too long for a courier",
	},
	httpAPI: {
		"connection limit reached, idle ones closed",
		"handler panicked",
		"request failed",
		"request failed, dependency unavailable",
		"request refused",
	},
	"#invariants": {
		"invariant violated",
		"invariants not checked",
		"invariant_check",
	},
	"#is-it-working": {
		"API_TOKENS_FILE",
		"api open to the network without tokens",
		"database schema",
		"http server failed",
		"opentelemetry error",
		"panic recovered",
		"serving profiles failed", "serving the events page failed",
		"traces",
	},
	"#lost-offsets": {
		"committed offset lost, reading from the oldest record",
	},
	"#missing-orders": {
		"active orders missing in service-order",
	},
	"#nothing-is-read": {
		"batch cannot be decoded, skipped",
		"kafka brokers do not answer, using the others",
		"kafka",
		"kafka consumer group",
		"kafka topic",
		"partitions without owner",
		"reading the kafka topic",
		"records cannot be decoded, partitions stuck",
	},
	"#postgresql": {
		"event skipped",
		"expire_overdue",
		"journal replaced, live feed restarted",
		"live feed",
		"matching",
		"monitor",
		"order cannot be saved",
		"outbox",
		"postgresql",
		"purge_dead_letters",
		"count_deliveries",
		"recheck",
		"retention disabled by topic settings",
		"retention shorter than topic retention",
		"retention",
		"saving order events",
	},
	"#service-order": {
		"circuit breaker opened, consumption paused",
		"order_service_http",
		"order_service_grpc",
		"resync",
		"service-order lost its state",
		"orders still missing since service-order lost its state",
		"service-order",
		"unknown order status",
	},
})

func invert(messages map[string][]string) map[string]string {
	inverted := make(map[string]string)
	for section, all := range messages {
		for _, message := range all {
			inverted[message] = section
		}
	}
	return inverted
}
