// Package api tests the HTTP API as clients use it: the service with a real
// PostgreSQL, an embedded Kafka and a simulated service-order, over TCP. Handlers
// and middleware by themselves are tested in internal/transport/rest.
package api
