// Package citest separates what every `go test ./...` tests from what CI tests.
//
// With CI=true in the environment, as .ci/run and most CI systems set it, every test
// runs, and a missing program fails its test. Without it, long tests and tests whose
// program is missing are skipped, with the reason.
package citest

import (
	"flag"
	"os"
	"testing"
)

// Enabled reports whether every test must run.
func Enabled() bool { return os.Getenv("CI") == "true" }

// Only skips a long test outside CI. A guard against wrong data needs a short test too.
func Only(tb testing.TB, because string) {
	tb.Helper()
	if !Enabled() {
		tb.Skipf("only in CI: %s; to run it: CI=true go test -run '^%s$'", because, tb.Name())
	}
}

// FewerChecks makes 25 checks of each property outside CI, in place of rapid's 100. For
// TestMain; the flag -rapid.checks still overrides it.
func FewerChecks() {
	if !Enabled() {
		if err := flag.Set("rapid.checks", "25"); err != nil {
			panic(err) // the package does not use rapid
		}
	}
}

// Missing skips a test whose program is not installed; in CI it fails the test.
func Missing(tb testing.TB, program string) {
	tb.Helper()
	if Enabled() {
		tb.Fatalf("%s is not installed, and with CI=true every test must run", program)
	}
	tb.Skipf("%s is not installed; with CI=true this test fails instead", program)
}
