// Package operator tests the commands of an operator against a running service with
// Kafka (embedded and real), PostgreSQL and a fake service-order.
package operator
