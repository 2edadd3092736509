package realkafka

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// defaultHeapMB is enough for the tests' few topics, and small enough to run
// beside PostgreSQL and the tests themselves.
const defaultHeapMB = 384

// Options adjusts a broker. The zero value is right for most tests.
type Options struct {
	// HeapMB is the size of the Java heap; 0 means 384.
	HeapMB int
	// Properties are added to the broker's configuration and win over the
	// harness's own settings, the listeners included: leave those alone.
	Properties map[string]string
}

func (o Options) withDefaults() Options {
	if o.HeapMB == 0 {
		o.HeapMB = defaultHeapMB
	}
	return o
}

// properties renders the broker's server.properties.
func (o Options) properties(dataDir string, p ports) string {
	broker := fmt.Sprintf("BROKER://127.0.0.1:%d", p.broker)
	controller := fmt.Sprintf("127.0.0.1:%d", p.controller)
	all := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        nodeID,
		"controller.quorum.voters":       nodeID + "@" + controller,
		"listeners":                      broker + ",CONTROLLER://" + controller,
		"advertised.listeners":           broker,
		"listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":     "BROKER",
		"controller.listener.names":      "CONTROLLER",
		"log.dirs":                       dataDir,
		// A client that names a wrong topic must see an error, not a new topic.
		"auto.create.topics.enable": "false",
		// Groups form at once, and tests may use short session timeouts.
		"group.initial.rebalance.delay.ms": "0",
		"group.min.session.timeout.ms":     "100",
		// After a SIGKILL the controller still trusts the session of the killed
		// broker and refuses the restarted one until that session expires; the
		// default is 9 s.
		"broker.heartbeat.interval.ms": "250",
		"broker.session.timeout.ms":    "1000",
		// One node: nothing can have a second replica.
		"default.replication.factor":               "1",
		"offsets.topic.num.partitions":             "1",
		"offsets.topic.replication.factor":         "1",
		"transaction.state.log.num.partitions":     "1",
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr":            "1",
		// The log cleaner takes its buffer from the heap; the default is 128 MiB.
		"log.cleaner.dedupe.buffer.size": "8388608",
	}
	maps.Copy(all, o.Properties)
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&out, "%s=%s\n", key, all[key])
	}
	return out.String()
}
