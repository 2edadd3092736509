// Package rest serves the HTTP API: JSON over the standard mux, described by
// OpenAPI 3.1 at /openapi.json, every error a problem (RFC 9457). A file a
// noun; couriers.go is one to copy: register takes an operation and the role that
// its callers need, page.go makes pages of lists, order_id.go has order ids. A request
// passes, from the outside in:
//
//	identified → Dependencies.Trace → measured → logged → recovered → limited (429)
//	→ ownName (421, where Config.OwnName asks for it) → sameOrigin (403) → router (404, 405)
//	→ authorised (401, 403) → bounded (408, 413, 415) → deadlined → mux → huma → handler
//
// The package turns requests into calls of use cases and their outcomes into
// answers (problems.go has the one table). It must not decide anything about
// couriers or orders, must not know SQL or Kafka, and logs neither names nor
// phones: of a path it logs the route, of a body nothing.
package rest
