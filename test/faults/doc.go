// Package faults breaks what the service depends on, one thing at a time, and
// holds the end state against service-order's truth: the service in process
// (one or more replicas), a real PostgreSQL, the embedded Kafka, and the
// simulated service-order behind a front that can refuse, hang and lie. It
// holds no product code.
package faults
