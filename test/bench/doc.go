// Command bench measures the service as it runs in production: the real program
// on a real Apache Kafka and a real PostgreSQL with fsync on. As service-order it
// serves HTTP itself, over a map with orders of full size, so that a slow
// neighbour cannot flatter the ratio to the pure GET rate, which is measured in
// the same run with the service's own client and settings.
//
//	go run ./test/bench [--orders 20000] [--couriers N] [--partitions 6] [--json]
//
// Everything it starts is its own, temporary, and gone afterwards.
//
//	main.go        the run: flags and phases
//	report.go      what is printed
//	stack.go       Kafka, PostgreSQL, the programs
//	neighbour.go   the orders, over HTTP
//	gets.go        the pure GET rate, in a process of its own
//	events.go      the backlog in Kafka
//	phase.go       one measured run of the service over a backlog
//	verify.go      whether what was measured was done right
//	cpu.go         CPU time by program, from /proc
//	progress.go    the line that moves
package main
