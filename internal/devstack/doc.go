// Package devstack runs the services that service-courier needs, inside or
// beside the calling process, for `service-courier dev` and for tests: a real
// PostgreSQL cluster of its own (StartPostgres) and an embedded Kafka broker
// (StartKafka). Both keep their data in one directory each, survive a kill -9
// of the parent without leaving a process behind, and bind to loopback only.
//
// It knows nothing of orders, couriers, schemas or topics' meaning, reads no
// environment but PATH (the caller hands every setting over), and must never
// be reached from `serve`: production brings its own PostgreSQL and Kafka.
package devstack
