package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const letters = "/api/v1/dead-letters"

// letter publishes a record that can never be processed and waits until the n-th
// letter is there.
func (s *stack) letter(n int) {
	s.Helper()
	s.sim.Emit("../bad", "created")
	s.hasLetter(n)
}

func (s *stack) hasLetter(id int) {
	s.Helper()
	s.eventually(fmt.Sprintf("there is letter %d", id), func() bool {
		return s.one("SELECT id FROM dead_letters WHERE id = $1", id) != ""
	})
}

// TestALettersLife takes a record that is bad every time through all that the API
// can do with it.
func TestALettersLife(t *testing.T) {
	s := newStack(t, 0)
	s.want(200, `\{"items":\[\]\}`, "GET "+letters, "")
	s.letter(1)
	s.want(200, `\{"items":\[\{"id":1,"status":"waiting","partition":[0-2],"offset":0,"created_at":"[^"]*Z","reason":"bad_order_id","rounds":0,"edited":false,.*\}\]\}`, "GET "+letters, "")
	s.want(200, `\{"id":1,"status":"waiting","topic":"`+topic+`",.*"reason":"bad_order_id",.*"rounds":0,.*\}`, "GET "+letters+"/1", "")

	s.want(200, `\{"id":1,"status":"redriven","partition":[0-2],"offset":[01]\}`, "POST "+letters+"/1/redrive", "")
	s.hasLetter(2) // bad again
	s.want(200, `\{"items":\[\{"id":2,"status":"waiting",.*"rounds":1,.*\}\]\}`, "GET "+letters, "")
	s.want(200, `\{"items":\[\{"id":1,"status":"redriven",.*\}\]\}`, "GET "+letters+"?state=handled", "")
	s.want(409, "dead_letter_handled", "POST "+letters+"/1/redrive", "")

	s.want(200, `\{"id":2,"status":"dropped"\}`, "POST "+letters+"/2/drop", "")
	s.want(409, "dead_letter_handled", "POST "+letters+"/2/drop", "")
	s.want(409, "dead_letter_handled", "POST "+letters+"/2/redrive", "")
	s.want(200, `\{"items":\[\]\}`, "GET "+letters, "")
	for _, line := range []string{"GET " + letters + "/99", "POST " + letters + "/99/redrive", "POST " + letters + "/99/drop"} {
		s.want(404, "dead_letter_not_found", line, "")
	}
	s.sound()
}

// TestRedriveWhileKafkaHangs: the broker takes the record and does not answer. The
// caller is told soon, the letter waits, and redriven again it arrives. Without a
// bound of its own a redrive outlives the server's write timeout, and the caller
// gets a broken connection.
func TestRedriveWhileKafkaHangs(t *testing.T) {
	s := newStack(t, 0)
	s.letter(1)
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
	s.want(200, `\{"id":1,"status":"waiting",.*\}`, "GET "+letters+"/1", "")
	close(held)
	s.want(200, `\{"id":1,"status":"redriven",.*\}`, "POST "+letters+"/1/redrive", "")
	s.must(s.kafka.Stop(t.Context()))
	s.want(503, "kafka_unavailable", "POST "+letters+"/1/redrive", "")
	s.sound()
}
