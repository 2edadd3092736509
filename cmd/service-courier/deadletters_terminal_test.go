package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAsksOnATerminal: with a person there, the question is put to him, and his
// answer decides.
func TestAsksOnATerminal(t *testing.T) {
	for typed, want := range map[string]bool{"y\n": true, "n\n": false} {
		keyboard, terminal := newTerminal(t)
		if _, err := keyboard.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		cmd, asked := root(), new(bytes.Buffer)
		cmd.SetContext(t.Context())
		cmd.SetIn(terminal)
		cmd.SetErr(asked)
		err := (&choice{}).confirm(cmd)("Drop everything?")
		if (err == nil) != want || !strings.Contains(asked.String(), "Drop everything? [y/N]") {
			t.Errorf("typed %q: %v, asked %q", typed, err, asked)
		}
	}
}

// newTerminal returns a terminal and the keyboard before it.
func newTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	open := func(path string) *os.File {
		file, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		return file
	}
	keyboard = open("/dev/ptmx")
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, open(fmt.Sprintf("/dev/pts/%d", number))
}
