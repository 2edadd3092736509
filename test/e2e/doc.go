// Package e2e tests both programs from the outside, as they are run in
// production: child processes with settings by environment, a real Apache Kafka
// and a real PostgreSQL. It sees what an operator sees: HTTP, tables, consumer
// group offsets, log lines, exit codes.
//
// It runs only where tests on a real broker were asked for, see test/realkafka.
package e2e
