// Package rest serves the HTTP API: JSON over the standard mux, described by
// OpenAPI 3.1 at /openapi.json, every error a problem (RFC 9457). One file per noun;
// courier.go shows the pattern: register takes an operation and the role of its
// callers, page.go pages lists. A request passes, from the outside in:
//
//	identifyRequests → Dependencies.Trace → measureRequests → logRequests → recoverPanics → limitRequests (503)
//	→ limitRate (429) → ownName (421) → sameOrigin (403) → router (404, 405)
//	→ authorize (401, 403, and 429 or 503 for what is open) → boundBody (408, 413, 415) → setDeadline → mux → huma → handler
//
// The package turns requests into calls of use cases and their results into responses
// (problems.go maps errors). It decides nothing about couriers or orders, knows no SQL
// and no Kafka, and logs no personal data: of a path the route, of a body nothing.
package rest
