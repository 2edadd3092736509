package app

import (
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/IBM/sarama"

	"service-courier/internal/devstack"
)

// The whole of it as a newcomer meets it: the banner, the first lines, every
// command that the banner offers, a record that is no event, a second one
// beside it, Ctrl-C.
func TestDev(t *testing.T) {
	t.Parallel()
	d := startDev(t, DevConfig{}).up(t)
	d.out.await(t, `assigned   [0-9a-f-]{36}  to Anna \(courier 1, scooter\)`)
	banner, _, _ := strings.Cut(d.out.String(), "what happens")
	first := regexp.MustCompile(`/order/([0-9a-f-]{36})\n`).FindStringSubmatch(banner)
	if first == nil {
		t.Fatalf("the banner names no order: %s", banner)
	}
	// To whomever: the first orders come over several partitions.
	d.out.await(t, `assigned   `+first[1]+`  to \S+ \(courier `)

	t.Run("what the banner offers", func(t *testing.T) {
		outputs := runCommands(t, banner)
		if !strings.Contains(outputs["/couriers"], `"name":"Anna"`) || !strings.Contains(outputs["/courier "], `{"id":11}`) {
			t.Errorf("couriers: %v", outputs)
		}
		made := regexp.MustCompile(`"id":"([0-9a-f-]{36})"`).FindStringSubmatch(outputs["/order "])
		if made == nil {
			t.Fatalf("no order was made: %v", outputs)
		}
		d.out.await(t, `assigned   `+made[1]+`  to \S+ \(courier `)
		d.out.await(t, `cancelled  `+first[1]+`  taken off \S+ \(courier `)
	})
	t.Run("a second one", func(t *testing.T) {
		taken := holdUsualPorts(t, banner)
		second := startDev(t, DevConfig{Quiet: true}).up(t)
		for _, want := range append(taken, "ORDER_ID") {
			second.out.await(t, regexp.QuoteMeta(want))
		}
		second.end(t)
	})
	t.Run("a record that is no event", func(t *testing.T) {
		publish(t, d.kafka.Addr(), "rubbish")
		d.out.await(t, `\d\d:\d\d:\d\d  dead       letter at partition \d, offset \d+ +not_json; psql: table dead_letters\n`)
	})

	database := loopback(d.postgres.Port())
	d.end(t)
	if !strings.HasSuffix(d.out.String(), "\nstopped; nothing is left of this run\n") {
		t.Error("no farewell")
	}
	if conn, err := net.Dial("tcp", database); err == nil { //nolint:noctx // refused or not, at once
		_ = conn.Close()
		t.Error("PostgreSQL still runs")
	}
	for line := range strings.Lines(d.out.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > 102 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// holdUsualPorts keeps the usual ports taken, and returns what a second one must
// say of each: the first one has it, or the test does. A port that a stranger
// has is left out, for he may let it go at any moment.
func holdUsualPorts(t *testing.T, banner string) (says []string) {
	t.Helper()
	for _, port := range []int{DefaultOrderPort, DefaultHTTPPort, devstack.DefaultKafkaPort} {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", loopback(port))
		if err == nil {
			t.Cleanup(func() { _ = listener.Close() })
		}
		if err == nil || strings.Contains(banner, loopback(port)) {
			says = append(says, fmt.Sprintf("(%d is taken)", port))
		}
	}
	return says
}

// runCommands runs what the banner offers as a shell would, and returns each
// output by the end of the address that it asks.
func runCommands(t *testing.T, banner string) map[string]string {
	t.Helper()
	outputs := map[string]string{}
	_, tries, _ := strings.Cut(banner, "try, in another terminal")
	for command := range strings.SplitSeq(strings.ReplaceAll(tries, "\\\n", ""), "\n") {
		command = strings.TrimSpace(command)
		program, _, _ := strings.Cut(command, " ")
		if program != "curl" && program != "psql" {
			continue
		}
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here", program)
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl ", "curl -sSf ", 1)).CombinedOutput()
		if err != nil {
			t.Errorf("%s\n%v: %s", command, err, out)
		}
		for _, end := range []string{"/couriers", "/courier ", "/order ", "/order/", "couriers'"} {
			if strings.Contains(command+" ", end) && outputs[end] == "" {
				outputs[end] = string(out)
				break
			}
		}
	}
	if len(outputs) < 4 {
		t.Errorf("the banner offers only %v", outputs)
	}
	return outputs
}

func publish(t *testing.T, addr, value string) {
	t.Helper()
	cfg := sarama.NewConfig()
	cfg.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer([]string{addr}, cfg)
	must(t, err)
	defer func() { must(t, producer.Close()) }()
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: devTopic, Value: sarama.StringEncoder(value)})
	must(t, err)
}

// Ctrl-C while it starts is no failure either, and leaves nothing; TestMain
// looks.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	d := startDev(t, DevConfig{})
	d.out.await(t, "starting")
	d.end(t)
	d.out.await(t, "stopped; nothing is left")
}

// Without its database the demo is over, and says why.
func TestPostgresEnds(t *testing.T) {
	t.Parallel()
	d := startDev(t, DevConfig{Quiet: true}).up(t)
	d.postgres.Kill()
	if err := d.result(); err == nil || !strings.Contains(err.Error(), "PostgreSQL has ended by itself") {
		t.Errorf("ended with %v", err)
	}
}
