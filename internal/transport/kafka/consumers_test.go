package kafka

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"service-courier/internal/dev/citest"
	"service-courier/internal/usecase/outbox"
)

const assignmentTopic = "courier.assignment.changed"

// documentedConsumer returns the first block of code in a language of docs/events.md that
// has a text.
func documentedConsumer(t *testing.T, language, text string) string {
	t.Helper()
	doc, err := os.ReadFile("../../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(doc), -1) {
		if strings.Contains(block[1], text) {
			return block[1]
		}
	}
	t.Fatalf("docs/events.md has no %s block with %q", language, text)
	return ""
}

// withEvents starts a broker with two events, one of them repeated.
func withEvents(t *testing.T) (addr string) {
	t.Helper()
	k := startKfake(t)
	admin, err := sarama.NewClusterAdmin([]string{k.Addr()}, saramaConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	if err := admin.CreateTopic(assignmentTopic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	p, _, _ := newEventProducer(t, k.Addr(), assignmentTopic)
	for _, sequence := range []int64{12, 12, 13} {
		if err := p.Publish(t.Context(), []outbox.Event{courierEvent("a", sequence)}); err != nil {
			t.Fatal(err)
		}
	}
	return k.Addr()
}

// output runs a program in dir until it has printed the number of lines.
func output(t *testing.T, addr string, lines int, name string, args ...string) (printed []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*patience) // it may be compiled first
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), "KAFKA_BROKERS="+addr)
	var talk strings.Builder
	command.Stderr = &talk
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	read := bufio.NewScanner(out)
	for len(printed) < lines && read.Scan() {
		printed = append(printed, read.Text())
	}
	cancel()
	_ = command.Wait() // it was killed
	if len(printed) < lines {
		t.Fatalf("%d lines, want %d: %v\n%s", len(printed), lines, printed, &talk)
	}
	return printed
}

// TestConsumerInGo runs the example of docs/events.md as written.
func TestConsumerInGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "consumer")
	if err := os.WriteFile(source, []byte(documentedConsumer(t, "go", "package main")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := output(t, withEvents(t), 2, program)
	if want := "a assigned"; got[0] != want || got[1] != want {
		t.Errorf("printed %q, want %q twice", got, want)
	}
}

// TestConsumerWithKcat runs the command of docs/events.md as written.
func TestConsumerWithKcat(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("kcat"); err != nil {
		citest.Missing(t, "kcat (Debian: kcat)")
	}
	got := output(t, withEvents(t), 3, "sh", "-c", "exec "+documentedConsumer(t, "sh", "kcat"))
	for i, id := range []string{"a.12", "a.12", "a.13"} {
		if !strings.HasPrefix(got[i], `a {"event_id":"`+id+`"`) {
			t.Errorf("line %d: %s", i, got[i])
		}
	}
}
