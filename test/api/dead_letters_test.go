package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/dev/citest"
)

const letters = "/api/v1/dead-letters"

// deadLetter publishes a record that can never be processed and waits for the n-th
// dead letter.
func (s *stack) deadLetter(n int) {
	s.Helper()
	s.sim.Emit("../bad", "created")
	s.waitForDeadLetter(n)
}

func (s *stack) waitForDeadLetter(id int) {
	s.Helper()
	s.eventually(fmt.Sprintf("dead letter %d", id), func() bool {
		return s.one("SELECT id FROM dead_letters WHERE id = $1", id) != ""
	})
}

// TestDeadLetterCommands runs every command on a record that fails every time.
func TestDeadLetterCommands(t *testing.T) {
	s := newStack(t, 0)
	s.want(200, `\{"items":\[\]\}`, "GET "+letters, "")
	s.deadLetter(1)
	s.want(200, `\{"items":\[\{"id":1,"status":"pending","partition":[0-2],"offset":0,"created_at":"[^"]*Z","reason":"bad_order_id","redrives":0,"edited":false,.*\}\]\}`, "GET "+letters, "")
	s.want(200, `\{"id":1,"status":"pending","topic":"`+topic+`",.*"reason":"bad_order_id",.*"redrives":0,.*\}`, "GET "+letters+"/1", "")

	s.want(200, `\{"id":1,"status":"redriven","partition":[0-2],"offset":[01]\}`, "POST "+letters+"/1/redrive", "")
	s.waitForDeadLetter(2) // fails again
	s.want(200, `\{"items":\[\{"id":2,"status":"pending",.*"redrives":1,.*\}\]\}`, "GET "+letters, "")
	s.want(200, `\{"items":\[\{"id":1,"status":"redriven",.*\}\]\}`, "GET "+letters+"?state=handled", "")
	s.want(409, "dead_letter_handled", "POST "+letters+"/1/redrive", "")

	s.want(200, `\{"id":2,"status":"discarded"\}`, "POST "+letters+"/2/discard", "")
	s.want(409, "dead_letter_handled", "POST "+letters+"/2/discard", "")
	s.want(409, "dead_letter_handled", "POST "+letters+"/2/redrive", "")
	s.want(200, `\{"items":\[\]\}`, "GET "+letters, "")
	for _, line := range []string{"GET " + letters + "/99", "POST " + letters + "/99/redrive", "POST " + letters + "/99/discard"} {
		s.want(404, "dead_letter_not_found", line, "")
	}
	s.sound()
}

// TestRedriveWhileKafkaHangs: the broker accepts the record and does not answer. The
// client gets a 503, the dead letter stays pending, and a second redrive succeeds.
// Without its own timeout a redrive would outlast the write timeout of the server, and
// the client would get a broken connection.
func TestRedriveWhileKafkaHangs(t *testing.T) {
	citest.Only(t, "a redrive waits 5 s for the broker")
	s := newStack(t, 0)
	s.deadLetter(1)
	held := make(chan struct{})
	s.kafka.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		s.kafka.Cluster().SleepControl(func() { <-held })
		return nil, nil, false
	})
	began := time.Now()
	s.want(503, "kafka_unavailable", "POST "+letters+"/1/redrive", "")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	s.want(200, `\{"id":1,"status":"pending",.*\}`, "GET "+letters+"/1", "")
	close(held)
	s.want(200, `\{"id":1,"status":"redriven",.*\}`, "POST "+letters+"/1/redrive", "")
	s.must(s.kafka.Stop(t.Context()))
	s.want(503, "kafka_unavailable", "POST "+letters+"/1/redrive", "")
	s.sound()
}
