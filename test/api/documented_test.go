package api

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedCommands runs the console sessions of docs/api.md as written and
// compares their output, except for times and request ids.
func TestDocumentedCommands(t *testing.T) {
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is required: %v", program, err)
		}
	}
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	sessions := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	s := newStack(t, 10) // as in dev
	ran := 0
	for _, session := range sessions {
		for _, step := range steps(session[1]) {
			ran++
			out, err := s.shell(step.command)
			if err != nil || settle(out) != settle(step.output) {
				t.Errorf("$ %s\n%s(%v)\ndocs/api.md says\n%s", step.command, out, err, step.output)
			}
		}
	}
	if ran < 5 {
		t.Errorf("only %d commands were found in docs/api.md", ran)
	}
	s.sound()
}

// step is a command of a session and its output.
type step struct{ command, output string }

// steps parses a session: a line that begins with $ is a command, and continues
// after a backslash.
func steps(session string) (all []step) {
	command := false // the last line continues
	for line := range strings.Lines(session) {
		switch text, isCommand := strings.CutPrefix(line, "$ "); {
		case isCommand:
			all = append(all, step{command: text})
			command = strings.HasSuffix(strings.TrimSpace(text), `\`)
		case command:
			all[len(all)-1].command += line
			command = strings.HasSuffix(strings.TrimSpace(line), `\`)
		default:
			all[len(all)-1].output += line
		}
	}
	return all
}

// shell runs a command with COURIER_URL set.
func (s *stack) shell(command string) (string, error) {
	cmd := exec.CommandContext(s.Context(), "sh", "-c", command)
	cmd.Env = append(os.Environ(), "COURIER_URL="+s.url)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var changing = map[*regexp.Regexp]string{
	regexp.MustCompile(`"request_id":"[^"]*"`):                    `"request_id":"…"`,
	regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`): "…",
	regexp.MustCompile(`(?i)etag: "[^"]*"`):                       "etag: …",
}

// settle replaces what differs from run to run.
func settle(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for pattern, with := range changing {
		text = pattern.ReplaceAllString(text, with)
	}
	return strings.TrimSpace(text)
}
