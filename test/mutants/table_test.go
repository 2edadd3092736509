package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryGuardExists: a guard that is reworded in the sources must be reworded in
// the table too.
func TestEveryGuardExists(t *testing.T) {
	for _, m := range mutants {
		source, err := os.ReadFile(filepath.Join("../..", m.file))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if n := strings.Count(string(source), m.guard); n != 1 {
			t.Errorf("%s: %s contains the guard %d times, want once: %q", m.name, m.file, n, m.guard)
		}
	}
}
