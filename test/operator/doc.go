// Package operator tests the commands of a person who looks after the service,
// against the service at work: a Kafka (embedded and real), a PostgreSQL, and a
// service-order that says what a test wants.
package operator
