package operator

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/cli"
	"service-courier/internal/cli/output"
	"service-courier/internal/usecase/deadletters"
	"service-courier/test/realkafka"
)

func TestRedriveOnKfake(t *testing.T) {
	k := startKfake(t, map[string]int{topic: partitions})
	t.Run("repeatedly", func(t *testing.T) { redriveRepeatedly(newStack(t, k.Addr())) })
	t.Run("broker refuses", func(t *testing.T) {
		s := newStack(t, k.Addr())
		k.Cluster().ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
			k.Cluster().KeepControl()
			produce := request.(*kmsg.ProduceRequest)
			if produce.Acks != -1 {
				t.Errorf("%d acknowledgements requested, want -1: all replicas", produce.Acks)
			}
			return refusal(produce), nil, true
		})
		refusedDeadLetterStays(s, "start the missing brokers")
	})
}

func TestRedriveOnRealKafka(t *testing.T) {
	b := realkafka.Require(t, realkafka.Options{})
	if err := b.CreateTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	t.Run("repeatedly", func(t *testing.T) { redriveRepeatedly(newStack(t, b.Addr())) })
	t.Run("broker refuses", func(t *testing.T) {
		createNarrowTopic(t, b.Addr(), "narrow")
		s := newStack(t, b.Addr())
		t.Setenv("KAFKA_ORDER_TOPIC", "narrow")
		refusedDeadLetterStays(s, "max.message.bytes")
	})
	t.Run("broker is gone", func(t *testing.T) {
		s := newStack(t, b.Addr())
		insertDeadLetter(s)
		if err := b.Stop(); err != nil {
			t.Fatal(err)
		}
		out, err := s.redrive()
		if err == nil || !strings.Contains(err.Error(), "no dead letter was redriven") {
			t.Errorf("redrive: %v, printed:\n%s", err, out)
		}
		s.eventually("pending", "SELECT status FROM dead_letters")
	})
}

// redrive runs the command for every dead letter.
func (s *stack) redrive() (string, error) {
	return printed(func(out *bytes.Buffer) error {
		return cli.RedriveDeadLetters(s.Context(), deadletters.Selection{All: true}, deadletters.RedriveOptions{},
			func(string) error { return nil }, out)
	})
}

// redriveRepeatedly fixes one dead letter, whose order is then assigned, and redrives
// another one until its redrives are used up.
func redriveRepeatedly(s *stack) {
	s.exec(`INSERT INTO couriers (name, phone, status, transport_type) VALUES ('Lev', '+7', 'available', 'car')`)
	s.serve()
	s.produce("not json")
	s.eventually("1", "SELECT count(*) FROM dead_letters")
	edit := func([]byte) ([]byte, error) { return []byte(`{"order_id":"o-1","status":"created"}`), nil }
	if out, err := printed(func(out *bytes.Buffer) error { return cli.EditDeadLetter(s.Context(), 1, edit, out) }); err != nil {
		s.Fatal(err, out)
	}
	if out, err := s.redrive(); err != nil || !strings.Contains(out, "1 redriven, 0 failed, 0 skipped") {
		s.Fatalf("%v, printed:\n%s", err, out)
	}
	s.eventually("assigned", "SELECT state FROM orders WHERE order_id = 'o-1'")

	s.produce("always bad")
	const last = "FROM dead_letters ORDER BY id DESC LIMIT 1"
	for _, round := range []string{"0", "1", "2", "3", "4"} {
		s.eventually(round+" pending", "SELECT redrives || ' ' || status "+last)
		if out, err := s.redrive(); err != nil || !strings.Contains(out, "1 redriven, 0 failed, 0 skipped") {
			s.Fatalf("redrive %s: %v, printed:\n%s", round, err, out)
		}
	}
	s.eventually("5 pending", "SELECT redrives || ' ' || status "+last)
	if out, err := s.redrive(); err != nil || !strings.Contains(out, "0 redriven, 0 failed, 1 skipped") {
		s.Errorf("over the limit: %v, printed:\n%s", err, out)
	}
	s.eventually("5 pending", "SELECT redrives || ' ' || status "+last)
	s.eventually("key abc always bad", `SELECT convert_from(key, 'UTF8') || ' ' || convert_from(header_values[1], 'UTF8') || ' '
		|| convert_from(payload, 'UTF8') `+last)
	exportsEverything(s)
	listsForPrograms(s)
}

// exportsEverything expects seven dead letters, of which one is pending.
func exportsEverything(s *stack) {
	path := filepath.Join(s.TempDir(), "dead-letters.jsonl")
	for handled, want := range map[bool]int{false: 1, true: 6} {
		if err := cli.ExportDeadLetters(s.Context(), deadletters.Filter{Handled: handled}, path, new(bytes.Buffer)); err != nil {
			s.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil || bytes.Count(content, []byte("\n")) != want || !bytes.Contains(content, []byte(`"key":"a2V5"`)) {
			s.Errorf("handled %t: %v, want %d dead letters:\n%s", handled, err, want, content)
		}
	}
}

// listsForPrograms expects the first four of six handled dead letters as in the export.
func listsForPrograms(s *stack) {
	var handled, listed, notes bytes.Buffer
	filter := deadletters.Filter{Handled: true}
	err := errors.Join(
		cli.ExportDeadLetters(s.Context(), filter, "", &handled),
		cli.ListDeadLetters(s.Context(), filter, 4, output.Writer{Out: &listed, Format: output.NDJSON}, &notes),
	)
	first := bytes.Join(bytes.SplitAfter(handled.Bytes(), []byte("\n"))[:4], nil)
	if err != nil || !bytes.Equal(listed.Bytes(), first) || notes.String() != "4 of 6 handled dead letters are shown; use --limit to show more\n" {
		s.Errorf("list: %v, said %q, listed\n%swant\n%s", err, &notes, &listed, first)
	}
	var table, shown bytes.Buffer
	notes.Reset()
	err = errors.Join(
		cli.ListDeadLetters(s.Context(), filter, 6, output.Writer{Out: &table, Format: output.Table}, &notes),
		cli.ShowDeadLetter(s.Context(), 1, output.Writer{Out: &shown, Format: output.NDJSON}),
	)
	if err != nil || bytes.Count(table.Bytes(), []byte("\n")) != 7 || notes.Len() > 0 || !bytes.HasPrefix(first, shown.Bytes()) {
		s.Errorf("list and show: %v, said %q\n%s%s", err, &notes, &table, &shown)
	}
}

// insertDeadLetter inserts a dead letter; the service does not run.
func insertDeadLetter(s *stack) {
	s.exec(`INSERT INTO dead_letters (topic, partition, "offset", produced_at, payload, reason) VALUES ($1, 0, 0, now(), 'x', 'not_json')`, topic)
}

func refusedDeadLetterStays(s *stack, fix string) {
	insertDeadLetter(s)
	out, err := s.redrive()
	if err == nil || !strings.Contains(out, "0 redriven, 1 failed, 0 skipped") || !strings.Contains(out, fix) {
		s.Errorf("redrive: %v, printed:\n%s", err, out)
	}
	s.eventually("pending", "SELECT status FROM dead_letters")
}

// refusal answers for every partition that too few replicas are in sync.
func refusal(request *kmsg.ProduceRequest) kmsg.Response {
	response := request.ResponseKind().(*kmsg.ProduceResponse)
	for _, asked := range request.Topics {
		answered := kmsg.NewProduceResponseTopic()
		answered.Topic, answered.TopicID = asked.Topic, asked.TopicID
		for _, p := range asked.Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, kerr.NotEnoughReplicas.Code
			answered.Partitions = append(answered.Partitions, part)
		}
		response.Topics = append(response.Topics, answered)
	}
	return response
}

// createNarrowTopic creates a topic that accepts no record.
func createNarrowTopic(t *testing.T, addr, name string) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin([]string{addr}, sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	most := "10"
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{"max.message.bytes": &most}}
	if err := errors.Join(admin.CreateTopic(name, detail, false), admin.Close()); err != nil {
		t.Fatal(err)
	}
}
