package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"service-courier/internal/app"
	"service-courier/internal/cli"
	"service-courier/internal/config"
	"service-courier/test/e2e/program"
	"service-courier/test/faults/wire"
)

// envReplica makes the test binary run `serve` or `resync`, as a process that can be
// killed.
const envReplica = "SERVICE_COURIER_TEST_REPLICA"

// playReplica runs the command until SIGTERM and returns the exit code.
func playReplica(command string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	run := app.Serve
	if command == "resync" {
		run = func(ctx context.Context, logs io.Writer) error {
			return cli.Resync(ctx, time.Now().Add(-time.Hour), logs, logs)
		}
	}
	if err := run(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// replica is a process of the service.
type replica struct {
	*program.Process
	log string // path
}

// spawn starts a replica as a separate process, until the end of the test.
func (w *world) spawn(change ...func(*config.Config)) replica {
	w.Helper()
	return w.play("serve", change...)
}

func (w *world) play(command string, change ...func(*config.Config)) replica {
	w.Helper()
	cfg := w.settings()
	for _, c := range change {
		c(&cfg)
	}
	self, err := os.Executable()
	w.must(err)
	dir := w.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	w.must(err)
	defer log.Close() // the process has its own descriptor
	p, err := program.Start(w.Context(), program.Command{Path: self, Dir: dir, Log: log, Env: []string{
		envReplica + "=" + command, "HTTP_ADDR=" + cfg.HTTPAddr, "DATABASE_URL=" + cfg.DatabaseURL,
		"KAFKA_BROKERS=" + strings.Join(cfg.KafkaBrokers, ","), "KAFKA_ORDER_TOPIC=" + cfg.KafkaTopic,
		"KAFKA_ASSIGNMENT_TOPIC=" + cfg.KafkaAssignmentTopic, "KAFKA_GROUP_ID=" + cfg.KafkaGroupID, "ORDER_SERVICE_URL=" + cfg.OrderServiceURL,
		"RESYNC_INTERVAL=" + cfg.ResyncInterval.String(), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + cfg.OTLPTraces,
	}})
	w.must(err)
	r := replica{p, log.Name()}
	w.Cleanup(func() {
		if p.Running() {
			w.check(p.Stop(10 * time.Second))
		}
		if w.Failed() {
			w.Logf("the process %d printed:\n%s", p.Pid(), tail(r.printed()))
		}
	})
	return r
}

func (r replica) printed() string {
	text, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// logged returns when the replica logged a message that contains text.
func (r replica) logged(text string) (at []time.Time) {
	for line := range strings.Lines(r.printed()) {
		var entry struct {
			Time time.Time
			Msg  string
		}
		if json.Unmarshal([]byte(line), &entry) == nil && strings.Contains(entry.Msg, text) {
			at = append(at, entry.Time)
		}
	}
	return at
}

// tail returns the end of a long log.
func tail(log string) string { return log[max(0, len(log)-32<<10):] }

// joined waits until the replica is a member of its group.
func (w *world) joined(r replica) {
	w.Helper()
	w.eventually("the process joins the group", func() bool {
		if !r.Running() {
			w.Fatalf("the process has ended:\n%s", r.printed())
		}
		return strings.Contains(r.printed(), "consumer group joined")
	})
}

// expel removes the members from the group, as the end of their session would after some
// seconds: a killed process does not leave by itself.
func (w *world) expel() {
	w.Helper()
	info := w.kafka.Cluster().GroupInfo(groupID)
	if info == nil || len(info.Members) == 0 {
		return
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = groupID
	for _, m := range info.Members {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = m.MemberID
		leave.Members = append(leave.Members, member)
	}
	w.request(leave)
}

// request sends a Kafka request to the broker.
func (w *world) request(message kmsg.Request) {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.MaxVersions(kversion.V3_6_0())) // topics by name
	w.must(err)
	defer client.Close()
	_, err = client.Request(w.Context(), message)
	w.must(err)
}

// wire returns a proxy of the database.
func (w *world) wire() *wire.Wire {
	w.Helper()
	u, err := url.Parse(w.database)
	w.must(err)
	return wire.New(w, u.Host, "")
}

// through connects a replica to its database through the proxy.
func through(p *wire.Wire) func(*config.Config) {
	return func(c *config.Config) {
		u, err := url.Parse(c.DatabaseURL)
		if err != nil {
			panic(err) // wire has parsed it already
		}
		u.Host = p.Addr()
		c.DatabaseURL = u.String()
	}
}
