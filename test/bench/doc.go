// Command bench measures the service as it runs in production: the real program
// on a real Apache Kafka and a real PostgreSQL with fsync on. As service-order it
// serves HTTP itself, over a map with orders of full size, so that a slow
// neighbour cannot flatter the ratio to the pure GET rate, which is measured in
// the same run with the service's own client and settings.
//
//	go run ./test/bench [--orders 20000] [--seconds 10] [--json]   the table
//	go run ./test/bench full [--history 10000000]                  rates on full tables against empty ones
//	go run ./test/bench scale                                      1, 2 and 4 replicas
//	go run ./test/bench backlog [--events 1000000]                 catching up, five events an order
//
// Everything it starts is its own, temporary, and gone afterwards.
//
//	main.go        flags, and the table's run
//	more.go        the other runs
//	report.go      what is printed
//	stack.go       Kafka, PostgreSQL, the programs
//	neighbour.go   the orders, over HTTP
//	gets.go        the pure GET rate, in a process of its own
//	single.go      one transaction an event, in a process of its own
//	events.go      events, at once or at a steady rate
//	load.go        one measured run of the service over events
//	loads.go       the loads: created, completed, mixed
//	latency.go     how long an event takes
//	alone.go       how long its parts take with nothing else at work
//	fill.go        full tables
//	verify.go      whether what was measured was done right
//	cpu.go         CPU time by program, from /proc
//	metric.go      a number of the service's metrics
//	progress.go    the line that moves
package main
