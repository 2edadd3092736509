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

// TestEveryGuardIsDocumented in docs/guarantees.md.
func TestEveryGuardIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	_, guards, _ := strings.Cut(string(text), "\n## Guards\n")
	guards = strings.Join(strings.Fields(guards), " ")
	for _, m := range mutants {
		if !strings.Contains(guards, " "+m.name+",") && !strings.Contains(guards, " "+m.name+".") {
			t.Errorf("docs/guarantees.md does not name the guard %q", m.name)
		}
	}
}
