package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryGuardIsThere: a guard that was reworded must be reworded in the
// table too, or nobody learns any more whether it is tested.
func TestEveryGuardIsThere(t *testing.T) {
	for _, m := range mutants {
		source, err := os.ReadFile(filepath.Join("../..", m.file))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if n := strings.Count(string(source), m.guard); n != 1 {
			t.Errorf("%s: %s has the guard %d times, want once: %q", m.name, m.file, n, m.guard)
		}
	}
}
