// Package childtest runs a copy of the test binary as a child process that the
// test kills: kill -9, so that the child cannot clean up.
package childtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

const environment = "DEV_TEST_CHILD"

// IsChild reports whether this process is a child. TestMain then calls the
// child's function instead of running tests.
func IsChild() bool { return os.Getenv(environment) != "" }

// Start runs a child with an argument, decodes into report the line that it
// wrote, and returns the function that kills it.
func Start(t *testing.T, argument string, report any) (kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, argument)
	cmd.Env = append(os.Environ(), environment+"=1")
	cmd.Stderr = os.Stderr
	if _, err = cmd.StdinPipe(); err != nil { // its end ends the child, see ReportAndWait
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("child reported nothing: %v", err)
	}
	if err := json.Unmarshal(line, report); err != nil {
		t.Fatalf("child: %v in %q", err, line)
	}
	return kill
}

// ReportAndWait is the child's side. It also ends when the test's process does.
func ReportAndWait(report any) {
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		Fail(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// Fail ends the child.
func Fail(err error) {
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1)
}
