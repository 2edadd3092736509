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
	// Listeners are further ones by name, with their protocol, such as SASL_SSL.
	// Their settings are Properties: listener.name.NAME.ssl.keystore.location.
	Listeners map[string]string
	// Format are further arguments of the storage tool, such as --add-scram. For
	// KRaft alone.
	Format []string
}

func (o Options) withDefaults() Options {
	if o.HeapMB == 0 {
		o.HeapMB = defaultHeapMB
	}
	return o
}

// addListeners adds those of the options, each on its port.
func (o Options) addListeners(all map[string]string, p ports) {
	for name, protocol := range o.Listeners {
		address := fmt.Sprintf(",%s://127.0.0.1:%d", name, p.others[name])
		all["listeners"] += address
		all["advertised.listeners"] += address
		all["listener.security.protocol.map"] += "," + name + ":" + protocol
	}
}

// properties renders the broker's server.properties.
func (o Options) properties(f Flavour, dataDir string, p ports) string {
	all := f.properties(p)
	maps.Copy(all, map[string]string{
		"log.dirs": dataDir,
		// A client that names a wrong topic must see an error, not a new topic.
		"auto.create.topics.enable": "false",
		// Groups form at once, and tests may use short session timeouts.
		"group.initial.rebalance.delay.ms": "0",
		"group.min.session.timeout.ms":     "100",
		// One node: nothing can have a second replica.
		"default.replication.factor":               "1",
		"offsets.topic.num.partitions":             "1",
		"offsets.topic.replication.factor":         "1",
		"transaction.state.log.num.partitions":     "1",
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr":            "1",
		// The log cleaner takes its buffer from the heap; the default is 128 MiB.
		"log.cleaner.dedupe.buffer.size": "8388608",
	})
	o.addListeners(all, p)
	maps.Copy(all, o.Properties)
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&out, "%s=%s\n", key, all[key])
	}
	return out.String()
}
