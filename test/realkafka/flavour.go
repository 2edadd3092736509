package realkafka

import (
	"encoding/xml"
	"fmt"
	"maps"
	"os"
)

// EnvFlavour chooses what Require and Start run: kraft, the default, or
// zookeeper.
const EnvFlavour = "SERVICE_COURIER_TEST_KAFKA_FLAVOUR"

// Flavour is how a Kafka keeps the state of its cluster, and so which release it
// is: ZooKeeper went with 4.0.
type Flavour string

// The flavours.
const (
	KRaft     Flavour = "kraft"
	ZooKeeper Flavour = "zookeeper"
)

// flavourOfEnv is the flavour that the environment asks for.
func flavourOfEnv() (Flavour, error) {
	switch f := Flavour(os.Getenv(EnvFlavour)); f {
	case "", KRaft:
		return KRaft, nil
	case ZooKeeper:
		return ZooKeeper, nil
	default:
		return "", fmt.Errorf("%s=%s: want %s or %s", EnvFlavour, f, KRaft, ZooKeeper)
	}
}

// Version is the Apache Kafka release that pom.xml names for the flavour.
func (f Flavour) Version() string {
	var project struct {
		KRaft     string `xml:"properties>kafka.version"`
		ZooKeeper string `xml:"properties>zookeeper.kafka.version"`
	}
	if err := xml.Unmarshal(pom, &project); err != nil || project.KRaft == "" || project.ZooKeeper == "" {
		panic(fmt.Sprintf("realkafka: the embedded pom.xml lacks a version: %v", err))
	}
	if f == ZooKeeper {
		return project.ZooKeeper
	}
	return project.KRaft
}

// properties are the settings of a node that differ.
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
			// As below: until the session of a killed broker has expired, ZooKeeper
			// refuses the restarted one.
			"zookeeper.session.timeout.ms": "1000",
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
		// After a SIGKILL the controller still trusts the session of the killed
		// broker and refuses the restarted one until that session expires; the
		// default is 9 s.
		"broker.heartbeat.interval.ms": "250",
		"broker.session.timeout.ms":    "1000",
	})
	return all
}
