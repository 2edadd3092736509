package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"

	"service-courier/internal/app"
)

// maxPayload is more than any broker takes as one record.
const maxPayload = 64 << 20

func editLetter() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Give a letter another payload, in $EDITOR or from a file",
		Long: "Opens the payload in $VISUAL or $EDITOR (vi where neither is set), or takes it from --payload. The record's\n" +
			"own payload is kept beside it, and its rounds are counted anew. Nothing is sent: 'deadletters redrive ID'\n" +
			"does that.",
		Example: "  service-courier deadletters edit 12\n" +
			"  echo '{\"order_id\":\"o-7\",\"status\":\"created\"}' | service-courier deadletters edit 12 --payload -",
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			change := func(old []byte) ([]byte, error) { return inEditor(cmd.Context(), old) }
			if cmd.Flags().Changed("payload") {
				change = func([]byte) ([]byte, error) { return payloadFrom(cmd, from) }
			} else if editor() == defaultEditor && !isTerminal(cmd.InOrStdin()) {
				return usageError{errors.New("nobody can type into an editor here: use --payload FILE, or set EDITOR to a command that needs nobody")}
			}
			return app.EditDeadLetter(cmd.Context(), ids[0], change, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&from, "payload", "", "take the payload from `FILE` as it is, or with - from the standard input")
	return cmd
}

func payloadFrom(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
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
		return nil, fmt.Errorf("--payload: more than %d bytes, which no broker takes", maxPayload)
	}
	return payload, nil
}

// inEditor lets a person edit the payload in a file that only he can read.
func inEditor(ctx context.Context, payload []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "service-courier-edit-")
	if err != nil {
		return nil, fmt.Errorf("a file to edit: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	path := filepath.Join(dir, "payload.json")
	if err := os.WriteFile(path, payload, 0o600); err != nil {
		return nil, fmt.Errorf("a file to edit: %w", err)
	}
	// Ctrl-C belongs to the editor from here on; only a short save follows it.
	signal.Ignore(os.Interrupt)
	// By the shell, since $EDITOR may be a command with arguments.
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", editor()+` "$1"`, "edit", path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the editor %s ended with an error, nothing is saved: %w; set EDITOR, or use --payload FILE", editor(), err)
	}
	edited, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.Join(errors.New("the editor left no file, nothing is saved"), err)
	}
	return withoutAddedNewline(payload, edited), nil
}

// defaultEditor waits for a person.
const defaultEditor = "vi"

func editor() string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return defaultEditor
}

// withoutAddedNewline takes off the line end that editors put after a last line
// that had none.
func withoutAddedNewline(before, after []byte) []byte {
	if bytes.HasSuffix(before, []byte("\n")) {
		return after
	}
	return bytes.TrimSuffix(after, []byte("\n"))
}
