package devmode

import (
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/IBM/sarama"

	"service-courier/internal/dev/devkafka"
)

// As a newcomer uses it: the banner, the first lines of the feed, every command of
// the banner, a record that is no event, a second dev beside it, Ctrl-C.
func TestDev(t *testing.T) {
	t.Parallel()
	d := startDev(t, Config{}).up(t)
	d.out.await(t, `assigned     [0-9a-f-]{36}  to Anna \(courier 1, scooter\)`)
	banner, _, _ := strings.Cut(d.out.String(), "Orders, in local time")
	first := regexp.MustCompile(`/order/([0-9a-f-]{36})\n`).FindStringSubmatch(banner)
	if first == nil {
		t.Fatalf("the banner names no order: %s", banner)
	}
	column := map[int]bool{} // where the explanations begin
	components, _, _ := strings.Cut(banner, "Try in")
	for _, m := range regexp.MustCompile(`(?m)^(  [a-z-]+ +\S*\d\S* +)\S`).FindAllStringSubmatch(components, -1) {
		column[len(m[1])] = true
	}
	if len(column) != 1 {
		t.Errorf("explanations in the columns %v: %s", column, components)
	}
	// To any courier: the first orders come from several partitions.
	d.out.await(t, `assigned     `+first[1]+`  to \S+ \(courier `)

	t.Run("commands of the banner", func(t *testing.T) {
		outputs := runCommands(t, banner)
		if !strings.Contains(outputs["couriers'"], "Anna") {
			t.Errorf("psql: %v", outputs)
		}
		connection, _, _ := strings.Cut(d.databaseURL(), "?")
		if want := connection + " " + d.kafka.Addr() + " http://" + d.sim.Addr() + " http://" + d.service.Addr(); outputs["export "] != want {
			t.Errorf("exported: %s\nwant %s", outputs["export "], want)
		}
		if !strings.Contains(outputs["/couriers"], `"name":"Anna"`) || !strings.Contains(outputs["/courier "], `{"id":11}`) {
			t.Errorf("couriers: %v", outputs)
		}
		made := regexp.MustCompile(`"id":"([0-9a-f-]{36})"`).FindStringSubmatch(outputs["/order "])
		if made == nil {
			t.Fatalf("no order was made: %v", outputs)
		}
		d.out.await(t, `assigned     `+made[1]+`  to \S+ \(courier `)
		d.out.await(t, `cancelled    `+first[1]+`  freed \S+ \(courier `)
	})
	t.Run("a second dev", func(t *testing.T) {
		taken := holdStandardPorts(t, banner)
		second := startDev(t, Config{Quiet: true}).up(t)
		for _, want := range append(taken, "ORDER_ID") {
			second.out.await(t, regexp.QuoteMeta(want))
		}
		second.end(t)
	})
	t.Run("a record that is no event", func(t *testing.T) {
		publish(t, d.kafka.Addr(), "rubbish")
		d.out.await(t, `\d\d:\d\d:\d\d  dead letter  partition \d, offset \d+ +not_json; psql: table dead_letters\n`)
	})

	database := loopback(d.postgres.Port())
	if url, err := url.Parse(d.databaseURL()); err != nil {
		t.Error(err)
	} else if password, _ := url.User.Password(); password == "" || strings.Contains(d.out.String(), password) {
		t.Error("the password of the superuser is shown")
	}
	d.end(t)
	if !strings.HasSuffix(d.out.String(), "\nstopped; all data is removed\n") {
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

// holdStandardPorts keeps the standard ports taken, and returns what a second dev
// must print for each: the first dev has the port, or the test does. A port of
// another program is left out, since it may be released at any moment.
func holdStandardPorts(t *testing.T, banner string) (printed []string) {
	t.Helper()
	for _, port := range []int{DefaultOrderPort, DefaultHTTPPort, devkafka.DefaultPort} {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", loopback(port))
		if err == nil {
			t.Cleanup(func() { _ = listener.Close() })
		}
		if err == nil || strings.Contains(banner, loopback(port)) {
			printed = append(printed, fmt.Sprintf("(%d is taken)", port))
		}
	}
	return printed
}

// runCommands runs the commands of the banner in a shell and returns each output by
// the end of the URL.
func runCommands(t *testing.T, banner string) map[string]string {
	t.Helper()
	outputs := map[string]string{}
	_, tries, _ := strings.Cut(banner, "Try in another terminal")
	for command := range strings.SplitSeq(strings.ReplaceAll(tries, "\\\n", ""), "\n") {
		command = strings.TrimSpace(command)
		program, _, _ := strings.Cut(command, " ")
		if strings.HasPrefix(command, "PGPASSWORD=") {
			program = "psql"
		}
		if program == "export" {
			command += ` && printf '%s %s %s %s' "$DATABASE_URL" "$KAFKA_BROKERS" "$ORDER_SERVICE_URL" "$COURIER_URL"`
			program = "sh"
		}
		if program != "curl" && program != "psql" && program != "sh" {
			continue
		}
		command = strings.Replace(command, "fail=10s", "fail=100ms", 1) // what follows would wait for its end
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl ", "curl -sSf ", 1)).CombinedOutput()
		if err != nil {
			t.Errorf("%s\n%v: %s", command, err, out)
		}
		for _, end := range []string{"export ", "/couriers", "/courier ", "/order ", "/order/", "couriers'"} {
			if strings.Contains(command+" ", end) && outputs[end] == "" {
				outputs[end] = string(out)
				break
			}
		}
	}
	if len(outputs) < 4 {
		t.Errorf("the banner has only %v", outputs)
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
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	must(t, err)
}

// Ctrl-C during the start is no failure and leaves no files, which TestMain checks.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	d := startDev(t, Config{})
	d.out.await(t, "starting")
	d.end(t)
	d.out.await(t, "stopped; all data is removed")
}

func TestPostgresEnds(t *testing.T) {
	t.Parallel()
	d := startDev(t, Config{Quiet: true}).up(t)
	d.postgres.Kill()
	if err := d.result(); err == nil || !strings.Contains(err.Error(), "PostgreSQL ended unexpectedly") {
		t.Errorf("ended with %v", err)
	}
}
