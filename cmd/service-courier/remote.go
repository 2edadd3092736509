package main

import (
	"fmt"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"service-courier/internal/client"
	"service-courier/internal/config"
	"service-courier/internal/output"
)

// remote is what the commands against a running server share.
type remote struct {
	server string
	format output.Format
}

const apiRoot = "/api/v1"

// group makes a command that only holds others.
func group(use, short, long string, sub ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: cobra.NoArgs, // a mistyped command is an error
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sub...)
	return cmd
}

// remoteCommands are the commands against a running server.
func remoteCommands() []*cobra.Command {
	r := &remote{format: output.Table}
	commands := []*cobra.Command{r.couriers(), r.orders(), r.stats(), r.lag(), r.events(), r.openapi()}
	for _, cmd := range commands {
		cmd.PersistentFlags().StringVar(&r.server, "server", "", "the server's `URL` (default: COURIER_URL, or http://127.0.0.1:8082)")
	}
	return commands
}

// formats gives a command that shows something its output formats.
func (r *remote) formats(cmd *cobra.Command) *cobra.Command {
	formatFlag(cmd, &r.format)
	return cmd
}

func formatFlag(cmd *cobra.Command, format *output.Format) {
	cmd.Flags().VarP(format, "output", "o", "how to write it")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		[]cobra.Completion{string(output.Table), string(output.JSON), string(output.NDJSON)}, cobra.ShellCompDirectiveNoFileComp))
}

func (r *remote) connect() (*client.Client, error) {
	cfg, err := config.LoadClient()
	if err != nil {
		return nil, usageError{err}
	}
	if r.server != "" {
		cfg.URL = r.server
	}
	c, err := client.New(cfg.URL, cfg.Token)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// writer writes to the standard output.
func (r *remote) writer(cmd *cobra.Command) output.Writer {
	out := cmd.OutOrStdout()
	return output.Writer{Out: out, Format: r.format, Color: colored(isTerminal(out), os.Getenv("NO_COLOR"))}
}

// colored says whether states are coloured: on a terminal, unless NO_COLOR is
// set and not empty (https://no-color.org).
func colored(terminal bool, noColor string) bool { return terminal && noColor == "" }

// show writes the one answer at path.
func (r *remote) show(cmd *cobra.Command, path string, query url.Values, columns []output.Column) error {
	c, err := r.connect()
	if err != nil {
		return err
	}
	answer, err := c.Get(cmd.Context(), path, query)
	if err != nil {
		return err
	}
	return r.writer(cmd).Item(answer, columns)
}

// list writes the items at path, at most limit.
func (r *remote) list(cmd *cobra.Command, path string, query url.Values, limit int, columns []output.Column) error {
	if limit < 0 {
		return usageError{fmt.Errorf("--limit: want a number, or 0 for all")}
	}
	c, err := r.connect()
	if err != nil {
		return err
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(min(limit+1, maxPage)))
	}
	more, err := r.writer(cmd).List(c.Items(cmd.Context(), path, query), columns, limit)
	if err == nil && more {
		fmt.Fprintf(cmd.ErrOrStderr(), "the first %d; --limit shows more\n", limit)
	}
	return err
}

const (
	maxPage      = 100 // of the API
	defaultLimit = 50
)

func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", defaultLimit, "how many at most; 0: all")
}

// act has the server do something and writes what it answers; done is the talk
// beside it.
func (r *remote) act(cmd *cobra.Command, method, path string, body any, columns []output.Column, done string) error {
	return r.actSaying(cmd, method, path, body, columns, func(int) string { return done })
}

// actSaying is act where the talk depends on the status answered.
func (r *remote) actSaying(
	cmd *cobra.Command, method, path string, body any, columns []output.Column, done func(status int) string,
) error {
	c, err := r.connect()
	if err != nil {
		return err
	}
	answer, err := c.Call(cmd.Context(), method, path, nil, body)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), done(answer.Status))
	if answer.Body == nil {
		return nil
	}
	return r.writer(cmd).Item(answer.Body, columns)
}

// oneArg wants exactly one argument, and says which.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want %s", what)
		}
		return nil
	}
}

// query makes parameters of the values that are set.
func query(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return values
}
