package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"service-courier/internal/cli"
	"service-courier/internal/cli/output"
)

// remote holds the flags of all commands against a running server.
type remote struct {
	url    string
	format output.Format
}

func serverCommands() []*cobra.Command {
	r := &remote{format: output.Table}
	commands := []*cobra.Command{r.couriers(), r.orders(), r.stats(), r.lag(), r.events(), r.openapi()}
	for _, cmd := range commands {
		cmd.PersistentFlags().StringVar(&r.url, "server", "", "`URL` of the server (default: COURIER_URL, or http://127.0.0.1:8082)")
	}
	return commands
}

// command returns a command that prints data of the server.
func (r *remote) command(use, short string, args cobra.PositionalArgs, run func(context.Context, *cli.Server, []string) error) *cobra.Command {
	cmd := r.plainCommand(use, short, args, run)
	formatFlag(cmd, &r.format)
	return cmd
}

// plainCommand returns a command without -o.
func (r *remote) plainCommand(use, short string, args cobra.PositionalArgs, run func(context.Context, *cli.Server, []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := cli.Connect(r.url, writer(cmd, r.format), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return run(cmd.Context(), server, args)
		},
	}
}

func (r *remote) couriers() *cobra.Command {
	var status, transport string
	var limit int
	var watch cli.Watch
	list := r.command("list", "List couriers", cobra.NoArgs, func(ctx context.Context, s *cli.Server, _ []string) error {
		return s.ListCouriers(ctx, status, transport, limit, watch)
	})
	watchFlags(list, &watch)
	list.Flags().StringVar(&status, "status", "", "only those with this status: available, busy or paused")
	list.Flags().StringVar(&transport, "transport", "", "only those with this transport: on_foot, scooter or car")
	limitFlag(list, &limit)

	get := r.command("get ID", "Show one courier", oneCourier, func(ctx context.Context, s *cli.Server, args []string) error {
		return s.GetCourier(ctx, args[0])
	})

	var created cli.Courier
	create := r.command("create --name NAME --phone PHONE --transport TRANSPORT", "Register a courier", cobra.NoArgs,
		func(ctx context.Context, s *cli.Server, _ []string) error { return s.CreateCourier(ctx, created) })
	create.Example = "  service-courier couriers create --name Lev --phone +70000000099 --transport car"
	courierFlags(create, &created)
	create.Flags().StringVar(&created.Status, "status", "", "available (default) or paused")

	var changed cli.Courier
	change := r.command("change ID", "Change a courier's name, phone or transport", oneCourier,
		func(ctx context.Context, s *cli.Server, args []string) error {
			return s.ChangeCourier(ctx, args[0], changed)
		})
	courierFlags(change, &changed)

	var afterDelivery bool
	pause := r.command("pause ID", "Stop assigning orders to a courier", oneCourier,
		func(ctx context.Context, s *cli.Server, args []string) error {
			return s.PauseCourier(ctx, args[0], afterDelivery)
		})
	pause.Flags().BoolVar(&afterDelivery, "after-delivery", false, "pause a busy courier when the delivery ends")

	return group("couriers", "List, register and change couriers", "",
		list, get, create, change, pause,
		r.command("resume ID", "Assign orders to a paused courier again", oneCourier,
			func(ctx context.Context, s *cli.Server, args []string) error { return s.ResumeCourier(ctx, args[0]) }),
		r.plainCommand("delete ID", "Delete a courier without an open delivery; history is kept", oneCourier,
			func(ctx context.Context, s *cli.Server, args []string) error { return s.DeleteCourier(ctx, args[0]) }))
}

func courierFlags(cmd *cobra.Command, c *cli.Courier) {
	cmd.Flags().StringVar(&c.Name, "name", "", "name of the courier")
	cmd.Flags().StringVar(&c.Phone, "phone", "", "phone number in any spelling, stored as +79000000001; unique")
	cmd.Flags().StringVar(&c.Transport, "transport", "", "on_foot, scooter or car")
}

func (r *remote) orders() *cobra.Command {
	var state string
	var missing bool
	var limit int
	var watch cli.Watch
	list := r.command("list", "List active orders, or those in one state", cobra.NoArgs, func(ctx context.Context, s *cli.Server, _ []string) error {
		return s.ListOrders(ctx, state, missing, limit, watch)
	})
	list.Long = "List orders. Without --state: the active ones, most urgent first: overdue (most overdue first), on hold\n" +
		"(longest first), waiting (by queue position), assigned (next deadline first)."
	list.Example = "  service-courier orders list --watch\n  service-courier orders list --state completed --limit 10"
	watchFlags(list, &watch)
	list.Flags().BoolVar(&missing, "missing", false, "only those that service-order answers 404 for")
	list.Flags().StringVar(&state, "state", "", "active (default), waiting, assigned, overdue, pending_recheck, missing, held, completed or cancelled")
	limitFlag(list, &limit)

	var courierID int64
	assign := r.command("assign ORDER", "Assign an order to a courier", oneOrder,
		func(ctx context.Context, s *cli.Server, args []string) error {
			return s.AssignOrder(ctx, args[0], courierID)
		})
	assign.Flags().Int64Var(&courierID, "courier", 0, "`ID` of a courier (default: the available courier with the fewest deliveries)")

	var reason string
	unassign := r.command("unassign ORDER", "Free the courier of an order and put the order on hold", oneOrder,
		func(ctx context.Context, s *cli.Server, args []string) error {
			return s.UnassignOrder(ctx, args[0], reason)
		})
	unassign.Flags().StringVar(&reason, "reason", "", "reason for the hold, kept in the order's history and published: no names, phones or addresses")

	var cancelReason string
	cancel := r.command("cancel ORDER", "Cancel an order that service-order no longer has", oneOrder,
		func(ctx context.Context, s *cli.Server, args []string) error {
			return s.CancelOrder(ctx, args[0], cancelReason)
		})
	cancel.Long = "Cancel a missing order: service-order answers 404 for it. A courier that has it is freed, and the delivery is\n" +
		"not counted. While service-order has the order, cancel it there."
	cancel.Flags().StringVar(&cancelReason, "reason", "", "reason, kept in the order's history and published: no names, phones or addresses")

	return group("orders", "List orders and change their deliveries",
		"Before a change, the server fetches the order from service-order and applies its status.",
		list,
		r.command("get ORDER", "Show one order, why it has no courier, and its timeline", oneOrder,
			func(ctx context.Context, s *cli.Server, args []string) error { return s.GetOrder(ctx, args[0]) }),
		assign, unassign, cancel,
		r.command("release ORDER", "Return an order on hold to its position in the waiting queue", oneOrder,
			func(ctx context.Context, s *cli.Server, args []string) error { return s.ReleaseOrder(ctx, args[0]) }),
		r.command("recheck ORDER", "Fetch an order from service-order now", oneOrder,
			func(ctx context.Context, s *cli.Server, args []string) error { return s.RecheckOrder(ctx, args[0]) }))
}

func (r *remote) stats() *cobra.Command {
	var q cli.StatisticsQuery
	cmd := r.command("stats", "Show number, duration and overdue share of deliveries", cobra.NoArgs,
		func(ctx context.Context, s *cli.Server, _ []string) error { return s.Statistics(ctx, q) })
	cmd.Long = "Show the deliveries completed on each day (UTC), or with --couriers of each courier:\n" +
		"DELIVERIES  completed ones; a cancelled order is none\n" +
		"OVERDUE     share of those completed after their deadline\n" +
		"AVERAGE     mean time from the last assignment to completion\n" +
		"P95         time within which 95 % of them were completed; from a histogram, so up to 10 % off if there are several\n" +
		"WAITING     mean time from when the order was first seen to its last assignment: of an order that was\n" +
		"            reassigned it includes the time with the first courier"
	cmd.Example = "  service-courier stats                               # the last 30 days, by day\n" +
		"  service-courier stats --today\n" +
		"  service-courier stats --by period --from 2026-01-01\n" +
		"  service-courier stats --couriers                    # the last 30 days, by courier"
	cmd.Flags().StringVar(&q.From, "from", "", "first `DAY` (UTC), such as 2026-01-31 (default: 29 days before --to)")
	cmd.Flags().StringVar(&q.To, "to", "", "last `DAY` (default: today)")
	cmd.Flags().BoolVar(&q.Today, "today", false, "only today (UTC)")
	cmd.Flags().StringVar(&q.By, "by", "day", "one row per day, or one for the whole period: day or period")
	cmd.Flags().Int64Var(&q.CourierID, "courier", 0, "only the courier with this `ID`")
	cmd.Flags().BoolVar(&q.EachCourier, "couriers", false, "one row per courier for the whole period")
	exclusive(cmd, "courier", "couriers")
	exclusive(cmd, "by", "couriers")
	for _, flag := range []string{"from", "to", "by"} {
		exclusive(cmd, "today", flag)
	}
	limitFlag(cmd, &q.Limit)
	cmd.Flags().Lookup("limit").Usage = "with --couriers, show at most this many; 0: all"
	needs(cmd, "limit", "couriers")
	return cmd
}

func (r *remote) lag() *cobra.Command {
	var watch cli.Watch
	var failAbove int64
	var cmd *cobra.Command
	cmd = r.command("lag", "Show the consumer lag of each partition", cobra.NoArgs,
		func(ctx context.Context, s *cli.Server, _ []string) error {
			if cmd.Flags().Changed("fail-above") {
				return s.Lag(ctx, watch, &failAbove)
			}
			return s.Lag(ctx, watch, nil)
		})
	cmd.Long = "Show how many records of each partition are not committed.\n" +
		"Exit with 3 if the lag is unknown, and with --fail-above N with 1 if the total lag exceeds N.\n" +
		"With --watch, repeat; with both, until then."
	cmd.Example = "  service-courier lag --fail-above 1000\n  service-courier lag --watch --interval 5s"
	watchFlags(cmd, &watch)
	cmd.Flags().Int64Var(&failAbove, "fail-above", 0, "fail if the total lag exceeds `N` records")
	return cmd
}

func (r *remote) events() *cobra.Command {
	tail := r.command("tail", "Show current totals, then every change until Ctrl-C", cobra.NoArgs,
		func(ctx context.Context, s *cli.Server, _ []string) error { return s.TailEvents(ctx) })
	tail.Long = "Shows the current totals, then each order that changes its state. A broken connection continues after the\n" +
		"last change. With -o json or ndjson each event is a line: {\"event\", \"id\", \"data\"}."
	return group("events", "Follow the changes of orders", "", tail)
}

func (r *remote) openapi() *cobra.Command {
	return r.plainCommand("openapi", "Print the description of the API (OpenAPI 3.1)", cobra.NoArgs,
		func(ctx context.Context, s *cli.Server, _ []string) error { return s.OpenAPI(ctx) })
}

var (
	oneCourier = oneArg("the id of one courier")
	oneOrder   = oneArg("the id of one order")
)

func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want %s", what)
		}
		return nil
	}
}

// exclusive makes two flags exclude each other, with an error that says so.
func exclusive(cmd *cobra.Command, one, other string) {
	cmd.MarkFlagsMutuallyExclusive(one, other) // for completion; the arguments are checked before
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed(one) && cmd.Flags().Changed(other) {
			return fmt.Errorf("--%s and --%s exclude each other", one, other)
		}
		return check(cmd, args)
	}
}

// needs makes a flag an error without another one, without which it has no effect.
func needs(cmd *cobra.Command, flag, other string) {
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed(flag) && !cmd.Flags().Changed(other) {
			return fmt.Errorf("--%s needs --%s", flag, other)
		}
		return check(cmd, args)
	}
}

func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", 50, "show at most this many; 0: all")
}

func watchFlags(cmd *cobra.Command, w *cli.Watch) {
	cmd.Flags().BoolVar(&w.On, "watch", false, "repeat until Ctrl-C; a terminal is redrawn")
	cmd.Flags().DurationVar(&w.Interval, "interval", 2*time.Second, "interval of --watch")
	needs(cmd, "interval", "watch")
}

func formatFlag(cmd *cobra.Command, format *output.Format) {
	cmd.Flags().VarP(format, "output", "o", "output format")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		[]cobra.Completion{string(output.Table), string(output.JSON), string(output.NDJSON)}, cobra.ShellCompDirectiveNoFileComp))
}

// writer prints to standard output.
func writer(cmd *cobra.Command, format output.Format) output.Writer {
	out := cmd.OutOrStdout()
	terminal := cli.IsTerminal(out)
	return output.Writer{Out: out, Format: format, Color: colored(terminal, os.Getenv("NO_COLOR")), Compact: terminal}
}

// colored implements https://no-color.org: any value of NO_COLOR but "" disables
// colours.
func colored(terminal bool, noColor string) bool { return terminal && noColor == "" }
