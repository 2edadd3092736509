package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"service-courier/internal/app"
	"service-courier/internal/output"
	"service-courier/internal/usecase/deadletters"
)

func deadLetters() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletters",
		Short: "See, mend, redrive or drop the events that could not be processed",
		Long: "Events that can never be processed as they are wait here for a person: redrive one (edited where that\n" +
			"is needed) or drop it. Handled letters are kept for 30 days; then the service removes them.",
		Example: "  service-courier deadletters list\n" +
			"  service-courier deadletters edit 12 && service-courier deadletters redrive 12\n" +
			"  service-courier deadletters drop --reason not_json",
		Args: cobra.NoArgs, // a mistyped command is an error
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(listLetters(), showLetter(), editLetter(), redriveLetters(), dropLetters(), exportLetters())
	return cmd
}

func listLetters() *cobra.Command {
	var filter deadletters.Filter
	var limit int
	format := output.Table
	cmd := &cobra.Command{
		Use: "list", Short: "List the letters that wait, those that came first first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usageError{errors.New("--limit: want 1 or more")}
			}
			w := output.Writer{Out: cmd.OutOrStdout(), Format: format}
			return app.ListDeadLetters(cmd.Context(), filter, limit, w, cmd.ErrOrStderr())
		},
	}
	filterFlags(cmd, &filter)
	formatFlag(cmd, &format)
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

func filterFlags(cmd *cobra.Command, f *deadletters.Filter) {
	cmd.Flags().Var(reason{&f.Reason}, "reason", "only those with this reason: "+reasons())
	cmd.Flags().BoolVar(&f.Handled, "handled", false, "those redriven or dropped, instead of those that wait")
}

func showLetter() *cobra.Command {
	var raw bool
	format := output.Table
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show all that is known of one letter", Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			if raw {
				return app.CopyDeadLetter(cmd.Context(), ids[0], cmd.OutOrStdout())
			}
			return app.ShowDeadLetter(cmd.Context(), ids[0], output.Writer{Out: cmd.OutOrStdout(), Format: format})
		},
	}
	formatFlag(cmd, &format)
	cmd.Flags().BoolVar(&raw, "raw", false, "the payload and nothing else, byte for byte")
	cmd.MarkFlagsMutuallyExclusive("raw", "output")
	return cmd
}

func redriveLetters() *cobra.Command {
	var choice choice
	var options deadletters.RedriveOptions
	cmd := &cobra.Command{
		Use:   "redrive ID… | --reason REASON | --all",
		Short: "Send letters through the order topic once more",
		Long: "Publishes each letter's record to KAFKA_ORDER_TOPIC with its key, its headers and its payload as edited,\n" +
			"waits until every in-sync replica has it, and marks the letter. A record that is bad again becomes a new\n" +
			"letter; after " + strconv.Itoa(deadletters.MaxRounds) + " rounds it has to be edited or dropped. The exit code is 1 when any failed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			selection, err := choice.selection(args)
			if err != nil {
				return err
			}
			if options.Rate < 0 {
				return usageError{errors.New("--rate: want records a second, or 0 for as many as Kafka takes")}
			}
			return app.RedriveDeadLetters(cmd.Context(), selection, options, choice.confirm(cmd), cmd.OutOrStdout())
		},
	}
	choice.flags(cmd)
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "only say what would be done")
	cmd.Flags().IntVar(&options.Rate, "rate", 0, "records a second at most (0: as many as Kafka takes)")
	return cmd
}

func dropLetters() *cobra.Command {
	var choice choice
	cmd := &cobra.Command{
		Use:   "drop ID… | --reason REASON | --all",
		Short: "Give letters up: their events are never processed",
		RunE: func(cmd *cobra.Command, args []string) error {
			selection, err := choice.selection(args)
			if err != nil {
				return err
			}
			return app.DropDeadLetters(cmd.Context(), selection, choice.confirm(cmd), cmd.OutOrStdout())
		},
	}
	choice.flags(cmd)
	return cmd
}

func exportLetters() *cobra.Command {
	var filter deadletters.Filter
	var output string
	cmd := &cobra.Command{
		Use: "export", Short: "Write letters as lines of JSON, bytes in base64", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.ExportDeadLetters(cmd.Context(), filter, output, cmd.OutOrStdout())
		},
	}
	filterFlags(cmd, &filter)
	cmd.Flags().StringVar(&output, "output", "", "write to `FILE` instead of the standard output")
	return cmd
}

func oneID(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("want the id of one letter, as 'deadletters list' shows it")
	}
	return nil
}

func parseIDs(args []string) ([]int64, error) {
	ids := make([]int64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, usageError{fmt.Errorf("%q is no id of a letter: want a number, as 'deadletters list' shows it", arg)}
		}
		ids[i] = id
	}
	return ids, nil
}
