package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/term"
)

// IsTerminal reports whether an input or output is a terminal.
func IsTerminal(stream any) bool {
	file, isFile := stream.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd()))
}

// Confirm asks a question and returns an error unless the answer is yes.
type Confirm func(question string) error

// Prompt returns a Confirm that asks on a terminal. Without a terminal it confirms
// only if yes is set.
func Prompt(ctx context.Context, in io.Reader, out io.Writer, yes bool) Confirm {
	return func(question string) error {
		if yes {
			return nil
		}
		if !IsTerminal(in) {
			return Usagef("%s Cannot ask without a terminal; use --yes to confirm", question)
		}
		fmt.Fprint(out, question+" [y/N] ")
		return readYes(ctx, in)
	}
}

// readYes returns nil when the next line is yes. The read continues after the end
// of ctx, but the program does not.
func readYes(ctx context.Context, in io.Reader) error {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // no line is a no
		lines <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case line := <-lines:
		if line == "y" || line == "yes" {
			return nil
		}
	case <-ctx.Done():
	}
	return errors.New("not confirmed; nothing was changed")
}

// Edit returns the new payload for an old one.
type Edit func(old []byte) ([]byte, error)

// maxPayload is more than any broker accepts as one record.
const maxPayload = 64 << 20

// ReadPayload returns an Edit that reads a file, or in for "-".
func ReadPayload(in io.Reader, name string) Edit {
	return func([]byte) ([]byte, error) {
		in := in
		if name != "-" {
			file, err := os.Open(name)
			if err != nil {
				return nil, fmt.Errorf("--payload: %w", err)
			}
			defer file.Close()
			in = file
		}
		payload, err := io.ReadAll(io.LimitReader(in, maxPayload+1))
		if err != nil {
			return nil, fmt.Errorf("--payload: %w", err)
		}
		if len(payload) > maxPayload {
			return nil, fmt.Errorf("--payload: more than %d bytes, too large for Kafka", maxPayload)
		}
		return payload, nil
	}
}

// OpenEditor returns an Edit that opens $VISUAL or $EDITOR. The default editor needs
// a terminal at in.
func OpenEditor(ctx context.Context, in io.Reader) (Edit, error) {
	if editor() == defaultEditor && !IsTerminal(in) {
		return nil, Usagef("no terminal for the editor: use --payload FILE, or set EDITOR to a command that needs none")
	}
	return func(old []byte) ([]byte, error) { return edit(ctx, old) }, nil
}

func edit(ctx context.Context, payload []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "service-courier-edit-") // only this user can read it
	if err != nil {
		return nil, fmt.Errorf("create a file to edit: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "payload.json")
	if err := os.WriteFile(path, payload, 0o600); err != nil {
		return nil, fmt.Errorf("create a file to edit: %w", err)
	}
	// Ctrl-C is for the editor from here on; only a short save follows.
	signal.Ignore(os.Interrupt)
	// With a shell, since $EDITOR may be a command with arguments.
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", editor()+` "$1"`, "edit", path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("editor %q failed, nothing was saved: %w; set EDITOR, or use --payload FILE", editor(), err)
	}
	edited, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the editor removed its file, nothing was saved: %w", err)
	}
	if !bytes.HasSuffix(payload, []byte("\n")) { // editors add a line end
		edited = bytes.TrimSuffix(edited, []byte("\n"))
	}
	return edited, nil
}

const defaultEditor = "vi"

func editor() string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return defaultEditor
}
