package api

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"service-courier/internal/config"
)

// envSchemathesis is the path of schemathesis; `make test-api` sets it.
const envSchemathesis = "SERVICE_COURIER_SCHEMATHESIS"

// TestSchemathesis runs schemathesis: it generates valid and invalid requests from the
// OpenAPI document and checks every response. The seed and the number of examples are
// fixed.
func TestSchemathesis(t *testing.T) {
	program := os.Getenv(envSchemathesis)
	if program == "" {
		t.Skip("make test-api runs it (Python 3.10 or newer)")
	}
	const token = "schemathesis-schemathesis-0"
	s := newStack(t, 40, func(c *config.Config) {
		c.APITokens, c.KafkaAssignmentTopic = "schemathesis:operate:"+token, assignmentTopic
	})
	s.populate("Authorization: Bearer " + token)
	began := time.Now()
	settings, err := filepath.Abs("schemathesis.toml")
	s.must(err)
	cmd := exec.CommandContext(t.Context(), program, "--config-file", settings, "run", s.url+"/openapi.json",
		"--header", "Authorization: Bearer "+token, "--no-color")
	cmd.Dir = t.TempDir() // it writes files there
	out, err := cmd.CombinedOutput()
	t.Logf("after %v:\n%s", time.Since(began).Round(time.Second), out)
	if err != nil {
		t.Errorf("schemathesis: %v", err)
	}
	s.sound()
}

// populate creates orders and dead letters in every state, so that requests find some.
func (s *stack) populate(authorization string) {
	s.Helper()
	for _, end := range []string{"", "", "completed", "deleted", "held"} {
		id := s.order()
		s.becomes(id, "assigned")
		switch end {
		case "completed":
			s.must(s.sim.SetStatus(id, end))
			s.becomes(id, "completed")
		case "deleted":
			s.must(s.sim.Delete(id))
			s.becomes(id, "cancelled")
		case "held":
			s.want(200, `.*`, "POST /delivery/unassign", `{"order_id":"`+id+`"}`, authorization)
		}
	}
	for n := range 3 {
		s.deadLetter(n + 1)
	}
	s.want(200, `.*`, "POST "+letters+"/1/discard", "", authorization)
	s.want(200, `.*`, "POST "+letters+"/2/redrive", "", authorization)
	s.waitForDeadLetter(4) // the redriven one fails again
}
