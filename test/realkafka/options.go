package realkafka

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
)

// defaultHeapMB is enough for a few topics, and leaves memory for the tests.
const defaultHeapMB = 384

// Options of a broker. The zero value suits most tests.
type Options struct {
	// HeapMB is the Java heap; 0 means 384.
	HeapMB int
	// Properties override the broker's configuration. Do not set listeners.
	Properties map[string]string
	// Listeners are further listeners by name, with their protocol, such as
	// SASL_SSL. Properties configure them: listener.name.NAME.ssl.keystore.location.
	Listeners map[string]string
	// Advertised are the addresses, host:port, that the broker names to clients of a
	// further listener instead of its own, such as that of a proxy.
	Advertised map[string]string
	// Format are further arguments of the storage tool, such as --add-scram. KRaft
	// mode only.
	Format []string
}

func (o Options) withDefaults() Options {
	if o.HeapMB == 0 {
		o.HeapMB = defaultHeapMB
	}
	return o
}

func (o Options) addListeners(all map[string]string, p ports) {
	for name, protocol := range o.Listeners {
		address := fmt.Sprintf("127.0.0.1:%d", p.others[name])
		all["listeners"] += "," + name + "://" + address
		all["advertised.listeners"] += "," + name + "://" + cmp.Or(o.Advertised[name], address)
		all["listener.security.protocol.map"] += "," + name + ":" + protocol
	}
}

// properties renders the broker's server.properties.
func (o Options) properties(f Flavour, dataDir string, p ports) string {
	all := f.properties(p)
	maps.Copy(all, map[string]string{
		"log.dirs": dataDir,
		// A wrong topic name must be an error.
		"auto.create.topics.enable": "false",
		// Groups form at once, and session timeouts may be short.
		"group.initial.rebalance.delay.ms": "0",
		"group.min.session.timeout.ms":     "100",
		// One node has no second replica.
		"default.replication.factor":               "1",
		"offsets.topic.num.partitions":             "1",
		"offsets.topic.replication.factor":         "1",
		"transaction.state.log.num.partitions":     "1",
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr":            "1",
		// The log cleaner's buffer is in the heap; the default is 128 MiB.
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

// EnvFlavour chooses kraft, the default, or zookeeper.
const EnvFlavour = "SERVICE_COURIER_TEST_KAFKA_FLAVOUR"

// Flavour is how Kafka stores the state of its cluster. It determines the release:
// ZooKeeper was removed in 4.0.
type Flavour string

// The flavours.
const (
	KRaft     Flavour = "kraft"
	ZooKeeper Flavour = "zookeeper"
)

func flavourFromEnv() (Flavour, error) {
	switch f := Flavour(os.Getenv(EnvFlavour)); f {
	case "", KRaft:
		return KRaft, nil
	case ZooKeeper:
		return ZooKeeper, nil
	default:
		return "", fmt.Errorf("%s=%s: want %s or %s", EnvFlavour, f, KRaft, ZooKeeper)
	}
}

// Version is the Apache Kafka release of the flavour in pom.xml.
func (f Flavour) Version() string {
	var project struct {
		KRaft     string `xml:"properties>kafka.version"`
		ZooKeeper string `xml:"properties>zookeeper.kafka.version"`
	}
	if err := xml.Unmarshal(pom, &project); err != nil || project.KRaft == "" || project.ZooKeeper == "" {
		panic(fmt.Sprintf("realkafka: no version in the embedded pom.xml: %v", err))
	}
	if f == ZooKeeper {
		return project.ZooKeeper
	}
	return project.KRaft
}

// properties are the settings that depend on the flavour.
func (f Flavour) properties(p ports) map[string]string {
	broker, controller := fmt.Sprintf("BROKER://127.0.0.1:%d", p.broker), fmt.Sprintf("127.0.0.1:%d", p.controller)
	all := map[string]string{
		"listeners":                      broker,
		"advertised.listeners":           broker,
		"listener.security.protocol.map": "BROKER:PLAINTEXT",
		"inter.broker.listener.name":     "BROKER",
	}
	if f == ZooKeeper {
		maps.Copy(all, map[string]string{
			"broker.id":         nodeID,
			"zookeeper.connect": controller,
			// As below, for the restart after a SIGKILL.
			"zookeeper.session.timeout.ms": "3000",
		})
		return all
	}
	maps.Copy(all, map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        nodeID,
		"controller.quorum.voters":       nodeID + "@" + controller,
		"controller.listener.names":      "CONTROLLER",
		"listeners":                      broker + ",CONTROLLER://" + controller,
		"listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
		// After a SIGKILL the controller refuses the restarted broker until the old
		// session expires; the default is 9 s.
		"broker.heartbeat.interval.ms": "250",
		"broker.session.timeout.ms":    "1000",
	})
	return all
}

// The ports are below 32768, the first ephemeral port of Linux: while the broker is
// down, a client that dials an ephemeral port of its own host may get that port,
// connect to itself and keep the broker from coming back.
const (
	firstPort = 20000
	lastPort  = 32000
)

// ports of one node. controller is also the port of ZooKeeper; others are by the name
// of the listener.
type ports struct {
	broker, controller int
	others             map[string]int
}

// freePorts finds free ports. If another process takes one first, Start tries again.
func (o Options) freePorts(ctx context.Context) (ports, error) {
	p, taken := ports{others: make(map[string]int)}, make(map[int]bool)
	next := func() (port int, err error) {
		for err == nil && (port == 0 || taken[port]) {
			port, err = freePort(ctx)
		}
		taken[port] = true
		return port, err
	}
	var err, errs error
	p.broker, err = next()
	errs = errors.Join(errs, err)
	p.controller, err = next()
	errs = errors.Join(errs, err)
	for name := range o.Listeners {
		p.others[name], err = next()
		errs = errors.Join(errs, err)
	}
	return p, errs
}

func freePort(ctx context.Context) (int, error) {
	const attempts = 100
	var errs error
	for range attempts {
		port := firstPort + rand.IntN(lastPort-firstPort)
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
		errs = errors.Join(errs, err)
	}
	return 0, fmt.Errorf("find a free port between %d and %d: %d attempts failed: %w", firstPort, lastPort, attempts, errs)
}
