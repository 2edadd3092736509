package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"service-courier/internal/app"
	"service-courier/internal/usecase/deadletters"
)

// choice is which letters a command is about, and whether it was said already
// that it may go on.
type choice struct {
	reason   string
	all, yes bool
}

func (c *choice) flags(cmd *cobra.Command) {
	cmd.Flags().Var(reason{&c.reason}, "reason", "every waiting letter with this reason: "+reasons())
	cmd.Flags().BoolVar(&c.all, "all", false, "every waiting letter")
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask")
}

func (c *choice) selection(args []string) (deadletters.Selection, error) {
	ids, err := parseIDs(args)
	if err != nil {
		return deadletters.Selection{}, err
	}
	s := deadletters.Selection{IDs: ids, Reason: c.reason, All: c.all}
	if err := s.Validate(); err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// confirm asks on a terminal. Where nobody can answer, only --yes says yes.
func (c *choice) confirm(cmd *cobra.Command) app.Confirm {
	return func(question string) error {
		if c.yes {
			return nil
		}
		in := cmd.InOrStdin()
		if !isTerminal(in) {
			return usageError{fmt.Errorf("%s Nobody can be asked here: add --yes to do it", question)}
		}
		fmt.Fprint(cmd.ErrOrStderr(), question+" [y/N] ")
		return answered(cmd.Context(), in)
	}
}

// isTerminal reports that a person may be there, at an input or an output.
func isTerminal(stream any) bool {
	file, isFile := stream.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd()))
}

// answered returns nil when the next line says yes. The read goes on after ctx
// has ended; the program does not.
func answered(ctx context.Context, in io.Reader) error {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // no line is no yes
		lines <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case line := <-lines:
		if line == "y" || line == "yes" {
			return nil
		}
	case <-ctx.Done():
	}
	return errors.New("not confirmed; nothing was done")
}
