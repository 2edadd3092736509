package realkafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/IBM/sarama"

	"service-courier/internal/dev"
	"service-courier/test/e2e/program"
)

const (
	startTimeout = 2 * time.Minute // a few seconds on an idle machine
	stopTimeout  = 15 * time.Second
)

// Broker is one Kafka node, with ZooKeeper in that flavour. Stop and Kill keep its data
// and ports for Restart. Its methods must not be called concurrently.
type Broker struct {
	flavour   Flavour
	options   Options
	java      string
	jars      string
	dir       string
	ports     ports
	zookeeper *program.Process // nil in KRaft mode
	process   *program.Process
}

// Start starts a broker and returns when it serves clients. ctx bounds the start only.
// The first start on a machine downloads the jars. ErrMissing: the machine has no
// suitable Java, or no Maven for the download.
func Start(ctx context.Context, options Options) (*Broker, error) {
	flavour, err := flavourFromEnv()
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
		err := broker.firstStart(ctx)
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

// Addr of the broker, host:port.
func (b *Broker) Addr() string { return fmt.Sprintf("127.0.0.1:%d", b.ports.broker) }

// Listener returns the address of a listener of Options.Listeners, host:port.
func (b *Broker) Listener(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", b.ports.others[name])
}

// LogPath is the file with the broker's output.
func (b *Broker) LogPath() string { return filepath.Join(b.dir, "broker.log") }

// Stop stops the broker with SIGTERM.
func (b *Broker) Stop() error {
	if b.process == nil {
		return nil
	}
	// A paused process sees SIGTERM only after SIGCONT.
	if err := errors.Join(b.process.Signal(syscall.SIGTERM), b.process.Signal(syscall.SIGCONT)); err != nil {
		return err
	}
	select {
	case <-b.process.Done():
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the broker did not end within %s after SIGTERM and was killed", stopTimeout), b.process.Kill())
	}
}

// Kill kills the broker with SIGKILL.
func (b *Broker) Kill() error {
	if b.process == nil {
		return nil
	}
	return b.process.Kill()
}

// Restart stops the broker if it runs, starts it with the same ports and data, and
// returns when it serves clients.
func (b *Broker) Restart(ctx context.Context) error {
	if err := b.Stop(); err != nil {
		return err
	}
	if b.zookeeper != nil {
		if err := b.waitUnregistered(ctx); err != nil {
			return err
		}
	}
	return b.launch(ctx)
}

// waitUnregistered waits until ZooKeeper has ended the session of a broker that was killed.
// Until then it refuses the next one.
func (b *Broker) waitUnregistered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		sessions, err := b.zookeeperSessions(ctx)
		if err == nil && !strings.Contains(sessions, "/brokers/ids/") {
			return nil
		}
		if ended := dev.Sleep(ctx, 25*time.Millisecond); ended != nil {
			return fmt.Errorf("wait for the end of the broker's ZooKeeper session: %w", errors.Join(ended, err))
		}
	}
}

// zookeeperSessions returns ZooKeeper's answer to "dump": its sessions and their nodes.
func (b *Broker) zookeeperSessions(ctx context.Context) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", b.ports.controller))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("dump")); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// Pause freezes the broker with SIGSTOP: its connections stay open without answers, as
// those of a machine that hangs. After more than a second the controller may fence the
// broker for a moment; clients must retry.
func (b *Broker) Pause() error {
	if err := b.process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	// A thread that runs on another processor may still answer: the signal only asks.
	for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		if b.stopped() {
			return nil
		}
	}
	return errors.New("the broker does not stop on SIGSTOP")
}

// stopped reports whether every thread is stopped; true without /proc.
func (b *Broker) stopped() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", b.process.Pid()))
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		// PID (NAME) STATE …
		if _, state, _ := strings.Cut(string(stat), ") "); err == nil && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Resume ends Pause.
func (b *Broker) Resume() error { return b.process.Signal(syscall.SIGCONT) }

// Close stops the broker and ZooKeeper and removes the directory. Further calls do
// nothing.
func (b *Broker) Close() error {
	err := b.Stop()
	if b.zookeeper != nil {
		err = errors.Join(err, b.zookeeper.Kill()) // its data is removed
	}
	if b.dir == "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// CreateTopic creates a topic and returns when each partition has a leader.
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

// firstStart creates the directory and starts the broker.
func (b *Broker) firstStart(ctx context.Context) (err error) {
	if b.ports, err = b.options.freePorts(ctx); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "service-courier-kafka-"); err != nil {
		return fmt.Errorf("create the broker's directory: %w", err)
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

// prepare formats the data directory, or starts ZooKeeper.
func (b *Broker) prepare(ctx context.Context) error {
	if b.flavour == KRaft {
		return b.format(ctx)
	}
	if len(b.options.Format) > 0 {
		return errors.New("Options.Format needs KRaft mode")
	}
	log, err := b.openLog()
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	return b.startZooKeeper(ctx, log)
}

func (b *Broker) propertiesPath() string { return filepath.Join(b.dir, "server.properties") }

// format writes the cluster id into the data directory; a KRaft node needs it.
func (b *Broker) format(ctx context.Context) error {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[0] = 0               // no leading dash, which would look like an option
	args := append([]string{
		"format", "--cluster-id", base64.RawURLEncoding.EncodeToString(id[:]), "--config", b.propertiesPath(),
	}, b.options.Format...)
	cmd := exec.CommandContext(ctx, b.java, b.jvm("kafka.tools.StorageTool", args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format the data directory of the broker (if classes are missing, remove %s): %w\n%s", b.jars, err, out)
	}
	return nil
}

// launch starts the process and waits until the broker serves clients.
func (b *Broker) launch(ctx context.Context) error {
	log, err := b.openLog()
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	b.process, err = b.startJava(ctx, log, "kafka.Kafka", b.propertiesPath())
	if err != nil {
		return err
	}
	if err := b.waitReady(ctx, nil); err != nil {
		return errors.Join(err, b.process.Kill())
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

// startJava starts a Java process; if this process is killed, it ends and the broker's
// directory is removed.
func (b *Broker) startJava(ctx context.Context, log *os.File, main string, args ...string) (*program.Process, error) {
	return program.Start(ctx, program.Command{Path: b.java, Args: b.jvm(main, args...), Env: os.Environ(), Log: log, RemoveDir: b.dir})
}

// jvm is the arguments of Java; the serial collector leaves the other cores to the
// tests.
func (b *Broker) jvm(main string, args ...string) []string {
	return append([]string{
		fmt.Sprintf("-Xmx%dm", b.options.HeapMB), "-XX:+UseSerialGC", "-Djava.awt.headless=true",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-cp", filepath.Join(b.jars, "*"), main,
	}, args...)
}

// waitReady waits until the broker serves clients and has the topics in want. It fails
// at once when the process ends.
func (b *Broker) waitReady(ctx context.Context, want map[string]int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := checkReady(ctx, b.Addr(), want)
		if err == nil {
			return nil
		}
		if !b.process.Running() {
			err = errors.Join(fmt.Errorf("its process ended with exit code %d", b.process.ExitCode()), err)
		} else if ended := dev.Sleep(ctx, 25*time.Millisecond); ended != nil {
			err = errors.Join(ended, err)
		} else {
			continue
		}
		return fmt.Errorf("wait for the broker at %s: %w; end of its log:\n%s", b.Addr(), err, b.logTail())
	}
}

// logTail returns the end of the broker's log.
func (b *Broker) logTail() string {
	const limit = 4000
	if b.dir == "" {
		return ""
	}
	content, err := os.ReadFile(b.LogPath())
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-limit):])
}

// startZooKeeper starts a ZooKeeper that outlives the broker and shares its log.
func (b *Broker) startZooKeeper(ctx context.Context, log *os.File) error {
	path := filepath.Join(b.dir, "zookeeper.properties")
	settings := strings.Join([]string{
		"dataDir=" + filepath.Join(b.dir, "zookeeper"),
		"clientPortAddress=127.0.0.1",
		fmt.Sprintf("clientPort=%d", b.ports.controller),
		"tickTime=250", // a session lasts at least two ticks
		"admin.enableServer=false",
		"4lw.commands.whitelist=dump", // for waitUnregistered
	}, "\n")
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		return fmt.Errorf("write ZooKeeper's settings: %w", err)
	}
	var err error
	b.zookeeper, err = b.startJava(ctx, log, "org.apache.zookeeper.server.ZooKeeperServerMain", path)
	return err
}
