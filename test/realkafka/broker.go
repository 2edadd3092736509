package realkafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

const (
	startTimeout = 2 * time.Minute // a few seconds on an idle machine
	stopTimeout  = 15 * time.Second
)

// Broker is one Kafka node, with a ZooKeeper where its flavour has one. It is running after Start and Restart, and down
// after Stop and Kill, which keep its data and its ports for Restart. Its
// methods are for one goroutine at a time.
type Broker struct {
	flavour   Flavour
	options   Options
	java      string
	jars      string
	dir       string
	ports     ports
	zookeeper *process // nil without one
	process   *process
}

// Start starts a broker and returns when it serves clients. ctx bounds the
// start, and not the broker's life: Close ends that. The first start on a
// machine also fetches the jars. An error that wraps ErrMissing says that the
// machine has no suitable Java, or no Maven to fetch them with.
func Start(ctx context.Context, options Options) (*Broker, error) {
	flavour, err := flavourOfEnv()
	if err != nil {
		return nil, err
	}
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	jars, err := flavour.jarDir(ctx)
	if err != nil {
		return nil, err
	}
	const attempts = 3 // a free port may be taken before the broker binds it
	for attempt := 1; ; attempt++ {
		broker := &Broker{flavour: flavour, options: options.withDefaults(), java: java, jars: jars}
		err := broker.first(ctx)
		if err == nil {
			return broker, nil
		}
		taken := strings.Contains(broker.logTail(), "Address already in use")
		err = errors.Join(err, broker.Close())
		if !taken || attempt == attempts {
			return nil, err
		}
	}
}

// Addr is where clients find the broker, as host:port.
func (b *Broker) Addr() string { return fmt.Sprintf("127.0.0.1:%d", b.ports.broker) }

// Listener is where clients find a listener of Options.Listeners, as host:port.
func (b *Broker) Listener(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", b.ports.others[name])
}

// LogPath is the file that holds what the broker printed.
func (b *Broker) LogPath() string { return filepath.Join(b.dir, "broker.log") }

// Stop ends the broker as an operator would, with SIGTERM.
func (b *Broker) Stop() error {
	if b.process == nil {
		return nil
	}
	return b.process.stop(stopTimeout)
}

// Kill ends the broker with SIGKILL, as a crash would.
func (b *Broker) Kill() error {
	if b.process == nil {
		return nil
	}
	return b.process.kill()
}

// Restart starts the broker again on the same ports with the same data, and
// stops it first if it runs. It returns when the broker serves clients.
func (b *Broker) Restart(ctx context.Context) error {
	if err := b.Stop(); err != nil {
		return err
	}
	return b.launch(ctx)
}

// Pause freezes the broker with SIGSTOP: its connections stay open and answer
// nothing, as those of a machine that hangs. After a pause of more than a second
// the node's own controller may shut it out for a moment; clients have to retry.
func (b *Broker) Pause() error { return b.process.pause() }

// Resume goes on after Pause.
func (b *Broker) Resume() error { return b.process.resume() }

// Close stops the broker, and its ZooKeeper, and removes its directory. It may be
// called twice.
func (b *Broker) Close() error {
	err := b.Stop()
	if b.zookeeper != nil {
		err = errors.Join(err, b.zookeeper.kill()) // nothing of it is kept
	}
	if b.dir == "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// CreateTopic makes a topic and returns when each of its partitions has a
// leader; the broker makes none by itself.
func (b *Broker) CreateTopic(ctx context.Context, name string, partitions int) (err error) {
	admin, err := sarama.NewClusterAdmin([]string{b.Addr()}, clientConfig())
	if err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	detail := &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}
	if err := admin.CreateTopic(name, detail, false); err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return b.waitReady(ctx, map[string]int{name: partitions})
}

// first prepares a new directory and launches the broker there.
func (b *Broker) first(ctx context.Context) (err error) {
	if b.ports, err = b.options.freePorts(ctx); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "service-courier-kafka-"); err != nil {
		return fmt.Errorf("make the broker's directory: %w", err)
	}
	properties := b.options.properties(b.flavour, filepath.Join(b.dir, "data"), b.ports)
	if err := os.WriteFile(b.propertiesPath(), []byte(properties), 0o600); err != nil {
		return fmt.Errorf("write the broker's settings: %w", err)
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	return b.launch(ctx)
}

// prepare makes what the broker wants to find when it first starts.
func (b *Broker) prepare(ctx context.Context) error {
	if b.flavour == KRaft {
		return b.format(ctx)
	}
	if len(b.options.Format) > 0 {
		return errors.New("Options.Format is for KRaft: there is nothing to format for ZooKeeper")
	}
	log, err := b.openLog()
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	return b.startZooKeeper(ctx, log)
}

func (b *Broker) propertiesPath() string { return filepath.Join(b.dir, "server.properties") }

// format writes the cluster id into the empty data directory, without which a
// KRaft node refuses to start.
func (b *Broker) format(ctx context.Context) error {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[0] = 0               // no leading dash, which would look like an option
	args := append([]string{
		"format", "--cluster-id", base64.RawURLEncoding.EncodeToString(id[:]), "--config", b.propertiesPath(),
	}, b.options.Format...)
	cmd := exec.CommandContext(ctx, b.java, b.jvm("kafka.tools.StorageTool", args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format the broker's data directory (if classes are missing, remove %s): %w\n%s", b.jars, err, out)
	}
	return nil
}

// launch starts the process and waits until it serves clients.
func (b *Broker) launch(ctx context.Context) error {
	log, err := b.openLog()
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	b.process, err = startProcess(ctx, b.dir, b.java, b.jvm("kafka.Kafka", b.propertiesPath()), log)
	if err != nil {
		return err
	}
	if err := b.waitReady(ctx, nil); err != nil {
		return errors.Join(err, b.process.kill())
	}
	return nil
}

func (b *Broker) openLog() (*os.File, error) {
	log, err := os.OpenFile(b.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the broker's log: %w", err)
	}
	return log, nil
}

// jvm is a Java command line; the serial collector leaves the machine's other
// cores to the tests.
func (b *Broker) jvm(main string, args ...string) []string {
	return append([]string{
		fmt.Sprintf("-Xmx%dm", b.options.HeapMB), "-XX:+UseSerialGC", "-Djava.awt.headless=true",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-cp", filepath.Join(b.jars, "*"), main,
	}, args...)
}

// waitReady polls until the broker serves clients and has the topics in want,
// and gives up at once when its process ends.
func (b *Broker) waitReady(ctx context.Context, want map[string]int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error // why it was not ready when last asked
	err := poll(ctx, 25*time.Millisecond, func() (bool, error) {
		if !b.process.running() {
			return false, fmt.Errorf("its process ended: %v", b.process.cmd.ProcessState)
		}
		last = checkReady(ctx, b.Addr(), want)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the broker at %s: %w; its log ends with:\n%s", b.Addr(), errors.Join(err, last), b.logTail())
	}
	return nil
}

// logTail returns the end of the broker's log.
func (b *Broker) logTail() string {
	const most = 4000
	if b.dir == "" {
		return ""
	}
	content, err := os.ReadFile(b.LogPath())
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-most):])
}
