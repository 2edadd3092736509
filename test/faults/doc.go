// Package faults breaks the dependencies of the service, one at a time or at random,
// and compares the end state with service-order: one or more replicas in process, a
// real PostgreSQL, the embedded Kafka, and the simulated service-order behind a front
// that can refuse, hang and send wrong answers. It contains no product code.
package faults
