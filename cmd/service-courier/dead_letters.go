package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"service-courier/internal/cli"
	"service-courier/internal/cli/output"
	"service-courier/internal/usecase/deadletters"
)

func deadLettersCommand() *cobra.Command {
	cmd := group("deadletters", "Inspect, edit, redrive or discard dead letters",
		"A dead letter is a record that can never be processed as it is. Redrive it, edited if needed, or discard it.\n"+
			"Redriven and discarded dead letters are kept for 30 days.",
		listDeadLetters(), showDeadLetter(), editDeadLetter(), redriveDeadLetters(), discardDeadLetters(), exportDeadLetters())
	cmd.Example = "  service-courier deadletters list\n" +
		"  service-courier deadletters edit 12 && service-courier deadletters redrive 12\n" +
		"  service-courier deadletters discard --reason not_json"
	return cmd
}

func listDeadLetters() *cobra.Command {
	var filter deadletters.Filter
	var limit int
	format := output.Table
	cmd := &cobra.Command{
		Use: "list", Short: "List pending dead letters, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cli.ListDeadLetters(cmd.Context(), filter, limit, writer(cmd, format), cmd.ErrOrStderr())
		},
	}
	filterFlags(cmd, &filter)
	formatFlag(cmd, &format)
	limitFlag(cmd, &limit)
	return cmd
}

func filterFlags(cmd *cobra.Command, f *deadletters.Filter) {
	cmd.Flags().Var(reason{&f.Reason}, "reason", "only those with this reason: "+reasons())
	cmd.Flags().BoolVar(&f.Handled, "handled", false, "redriven and discarded ones instead of pending ones")
}

func showDeadLetter() *cobra.Command {
	var raw bool
	format := output.Table
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show one dead letter", Args: oneDeadLetter,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			if raw {
				return cli.WritePayload(cmd.Context(), ids[0], cmd.OutOrStdout())
			}
			return cli.ShowDeadLetter(cmd.Context(), ids[0], writer(cmd, format))
		},
	}
	formatFlag(cmd, &format)
	cmd.Flags().BoolVar(&raw, "raw", false, "write only the payload, byte for byte")
	exclusive(cmd, "raw", "output")
	return cmd
}

func editDeadLetter() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Replace the payload of a dead letter",
		Long: "Opens the payload in $VISUAL or $EDITOR (default: vi), or takes it from --payload. The original payload is\n" +
			"kept, and the redrives are counted from 0 again. Nothing is sent until 'deadletters redrive ID'.",
		Example: "  service-courier deadletters edit 12\n" +
			"  echo '{\"order_id\":\"o-7\",\"status\":\"created\"}' | service-courier deadletters edit 12 --payload -",
		Args: oneDeadLetter,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			var edit cli.Edit
			if cmd.Flags().Changed("payload") {
				edit = cli.ReadPayload(cmd.InOrStdin(), from)
			} else if edit, err = cli.OpenEditor(cmd.Context(), cmd.InOrStdin()); err != nil {
				return err
			}
			return cli.EditDeadLetter(cmd.Context(), ids[0], edit, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&from, "payload", "", "read the payload from `FILE`, or from standard input for -")
	return cmd
}

func redriveDeadLetters() *cobra.Command {
	var selected selection
	var options deadletters.RedriveOptions
	cmd := &cobra.Command{
		Use:   "redrive ID… | --reason REASON | --all",
		Short: "Publish dead letters to the order topic again",
		Long: "Publishes each record to KAFKA_ORDER_TOPIC with its key, headers and edited payload, waits until every\n" +
			"in-sync replica has it, and marks the dead letter as redriven. A record that fails again becomes a new dead\n" +
			"letter; after " + strconv.Itoa(deadletters.MaxRedrives) + " redrives it has to be edited or discarded. The exit code is 1 if any failed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := selected.parse(args)
			if err != nil {
				return err
			}
			return cli.RedriveDeadLetters(cmd.Context(), s, options, selected.prompt(cmd), cmd.OutOrStdout())
		},
	}
	selected.flags(cmd)
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "only print what would be done")
	cmd.Flags().IntVar(&options.Rate, "rate", 0, "publish at most this many records per second (0: no limit)")
	return cmd
}

func discardDeadLetters() *cobra.Command {
	var selected selection
	cmd := &cobra.Command{
		Use:   "discard ID… | --reason REASON | --all",
		Short: "Discard dead letters: their records are never processed",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := selected.parse(args)
			if err != nil {
				return err
			}
			return cli.DiscardDeadLetters(cmd.Context(), s, selected.prompt(cmd), cmd.OutOrStdout())
		},
	}
	selected.flags(cmd)
	return cmd
}

func exportDeadLetters() *cobra.Command {
	var filter deadletters.Filter
	var path string
	cmd := &cobra.Command{
		Use: "export", Short: "Export dead letters as lines of JSON, bytes in base64", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cli.ExportDeadLetters(cmd.Context(), filter, path, cmd.OutOrStdout())
		},
	}
	filterFlags(cmd, &filter)
	cmd.Flags().StringVar(&path, "output", "", "write to `FILE` instead of standard output")
	return cmd
}

// selection is the dead letters that a command handles, and whether to ask first.
type selection struct {
	reason   string
	all, yes bool
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().Var(reason{&s.reason}, "reason", "all pending ones with this reason: "+reasons())
	cmd.Flags().BoolVar(&s.all, "all", false, "all pending dead letters")
	cmd.Flags().BoolVar(&s.yes, "yes", false, "do not ask for confirmation")
}

func (s *selection) parse(args []string) (deadletters.Selection, error) {
	ids, err := parseIDs(args)
	if err != nil {
		return deadletters.Selection{}, err
	}
	selected := deadletters.Selection{IDs: ids, Reason: s.reason, All: s.all}
	if err := selected.Validate(); err != nil {
		return selected, cli.UsageError{Err: err}
	}
	return selected, nil
}

func (s *selection) prompt(cmd *cobra.Command) cli.Confirm {
	return cli.Prompt(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), s.yes)
}

var oneDeadLetter = oneArg("the id of one dead letter; 'deadletters list' shows the ids")

func parseIDs(args []string) ([]int64, error) {
	ids := make([]int64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, cli.Usagef("invalid id %q: want a number; 'deadletters list' shows the ids", arg)
		}
		ids[i] = id
	}
	return ids, nil
}

// reason is a flag for the reason of a dead letter. It rejects unknown ones: a
// mistyped reason would match nothing, which looks like success.
type reason struct{ to *string }

func (r reason) Type() string { return "REASON" }

func (r reason) String() string {
	if r.to == nil {
		return ""
	}
	return *r.to
}

func (r reason) Set(text string) error {
	if !slices.Contains(deadletters.Reasons, text) {
		return errors.New("want " + reasons())
	}
	*r.to = text
	return nil
}

func reasons() string {
	last := len(deadletters.Reasons) - 1
	return strings.Join(deadletters.Reasons[:last], ", ") + " or " + deadletters.Reasons[last]
}
