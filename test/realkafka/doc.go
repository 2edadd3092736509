// Package realkafka starts a real Apache Kafka broker for tests: one node, a child
// process on free ports of 127.0.0.1 with a temporary directory of its own. It exists because kfake, which the quick tests use, is
// not the broker that production runs.
//
// It is for tests and the benchmark only; nothing that is shipped may import it.
//
// # When it runs
//
// A broker needs Java 17 and some seconds, so `go test ./...` alone skips
// whatever asks for one. Two variables decide (see Require):
//
//	SERVICE_COURIER_TEST_KAFKA=1     run; skip, saying why, where Java or Maven is missing
//	SERVICE_COURIER_REQUIRE_KAFKA=1  run; fail where they are missing (what CI sets)
//
// `make test-kafka` sets the first. A third chooses the release (see Flavour):
//
//	SERVICE_COURIER_TEST_KAFKA_FLAVOUR=kraft      Kafka 4 in KRaft mode, the default
//	SERVICE_COURIER_TEST_KAFKA_FLAVOUR=zookeeper  Kafka 3.9 with a ZooKeeper
//
// # What it leaves behind
//
// The jars, named by pom.xml, stay in the user's cache folder. Nothing else: a
// watchdog process ends the broker and removes its directory even when the test
// process is killed with SIGKILL (see process.go).
package realkafka
