package ordersim

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// killed copies the state file, as a kill -9 now would leave it.
func killed(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, string(data))
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.jsonl")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestStateSurvivesKill: orders, deleted ones and timers. The last events are published
// again, since Kafka may not have them; overdue timers fire at once, one step each.
func TestStateSurvivesKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "orders.jsonl")
		before := startSim(t, Config{StateFile: path})
		cooking, gone := create(t, before), create(t, before)
		if err := before.Delete(gone); err != nil {
			t.Fatal(err)
		}
		pass(11 * time.Second)
		created := create(t, before)
		left := killed(t, path)

		pass(time.Minute) // while it is down
		events := &recorder{}
		after := newSim(t, Config{StateFile: left, Publisher: events})
		if diff := cmp.Diff(map[string]string{cooking: "cooking", gone: "deleted", created: "created"}, after.Truth()); diff != "" {
			t.Fatal(diff)
		}
		if err := after.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{"created", "pending"}, events.statuses(created)); diff != "" {
			t.Error(diff)
		}
		pass(4*time.Minute - time.Millisecond)
		if got := after.Truth()[cooking]; got != "cooking" {
			t.Errorf("%s too early", got)
		}
		pass(time.Millisecond)
		if diff := cmp.Diff([]string{"cooking", "delivering"}, events.statuses(cooking)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestGeneratedOrdersSurviveKill: planned cancellations happen, and with the same seed the
// sequence of generated orders continues.
func TestGeneratedOrdersSurviveKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{StateFile: filepath.Join(t.TempDir(), "orders.jsonl"), Every: time.Second, CancelShare: 1, Seed: 9}
		before := startSim(t, cfg)
		pass(20 * time.Second)
		old := before.Truth()
		if err := before.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := startSim(t, cfg)
		pass(20 * time.Second)
		if got := len(after.Truth()); got < len(old)+5 {
			t.Errorf("%d orders before, %d after: ids were used twice", len(old), got)
		}
		pass(time.Hour)
		for id := range old {
			if got := after.Truth()[id]; got != StatusDeleted {
				t.Errorf("order %s is %s", id, got)
			}
		}
	})
}

// TestIncompleteLastLine is ignored, and not continued by the next record. Fails if
// readState keeps the text after the last newline.
func TestIncompleteLastLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.jsonl")
	s := newSim(t, Config{StateFile: path, Steps: FrozenSteps()})
	first, second := create(t, s), create(t, s)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.Index(string(data), "\n") + 1
	for _, cut := range []int{whole, whole + 1, whole + 100, len(data) - 1} {
		torn := write(t, string(data[:cut]))
		got := newSim(t, Config{StateFile: torn, Steps: FrozenSteps()})
		if diff := cmp.Diff(map[string]string{first: "created"}, got.Truth()); diff != "" {
			t.Errorf("cut at %d: %s", cut, diff)
		}
		third := create(t, got) // must not be glued to the torn line
		again := newSim(t, Config{StateFile: killed(t, torn), Steps: FrozenSteps()})
		if diff := cmp.Diff(map[string]string{first: "created", third: "created"}, again.Truth()); diff != "" {
			t.Errorf("cut at %d: %s", cut, diff)
		}
	}
	if got := newSim(t, Config{StateFile: killed(t, path)}); len(got.Truth()) != 2 || got.Truth()[second] == "" {
		t.Errorf("uncut: %v", got.Truth())
	}
}

// TestDamagedStateFile: other damage is not due to a kill, and is an error.
func TestDamagedStateFile(t *testing.T) {
	path := write(t, `{"id":"a","status":"created"}`+"\nnonsense\n"+`{"id":"b"}`+"\n")
	_, err := New(Config{StateFile: path})
	if err == nil || !strings.Contains(err.Error(), path+" line 2 is not an order") {
		t.Errorf("err = %v", err)
	}
	if _, err := New(Config{StateFile: filepath.Join(t.TempDir(), "no", "such")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
}

// TestStateFileIsRegular: the file is replaced by a rename, which would remove a link or, as
// root, a device; a FIFO would block.
func TestStateFileIsRegular(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(write(t, ""), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, dir} {
		if f, _, err := openStateFile(path); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("%s: %v", path, errors.Join(err, f.close()))
		}
	}
}

func TestCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.jsonl")
	s := newSim(t, Config{StateFile: path})
	id := create(t, s)
	for _, status := range allStatuses() {
		if err := s.SetStatus(id, status); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := func() int {
		data, _ := os.ReadFile(path)
		return strings.Count(string(data), "\n")
	}
	if got := lines(); got != 11 {
		t.Errorf("%d lines before", got)
	}
	s = newSim(t, Config{StateFile: path})
	if got := lines(); got != 1 {
		t.Errorf("%d lines after", got)
	}
	if err := s.Forget(); err != nil {
		t.Fatal(err)
	}
	if got := lines(); got != 0 {
		t.Errorf("%d lines after Forget", got)
	}
}
