package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"service-courier/internal/dev/ordersim"
)

const ctlTimeout = time.Minute

// ctl controls a running simulator on the same machine.
func ctl() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use: "ctl", Short: "Control a running simulator: orders, events and faults", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Long: `Controls a running simulator on the same machine. Each command is one request under
` + ordersim.ControlPath + `, so curl does the same.`,
		Example: `  service-order ctl create 20
  service-order ctl status ORDER_ID delivered
  service-order ctl faults --fail 10s            # every request fails for ten seconds
  service-order ctl faults --duplicate 1 --shuffle 2s
  service-order ctl faults                       # end all faults
  service-order ctl publish '{"order_id":'       # a malformed event`,
	}
	cmd.PersistentFlags().StringVar(&server, "server", "", "host:port of the simulator (default: HTTP_ADDR, else "+ordersim.DefaultConfig().Addr+")")
	call := func(use, short string, args cobra.PositionalArgs, method string, target func(args []string) (path string, query url.Values, body string)) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: usage(args),
			RunE: func(cmd *cobra.Command, args []string) error {
				path, query, body := target(args)
				addr := cmp.Or(strings.TrimSuffix(strings.TrimPrefix(server, "http://"), "/"), os.Getenv("HTTP_ADDR"), ordersim.DefaultConfig().Addr)
				return control(cmd.Context(), cmd.OutOrStdout(), addr, method, path, query, body)
			},
		}
	}
	cmd.AddCommand(
		call("create [N]", "Create N orders (default 1)", cobra.MaximumNArgs(1), http.MethodPost, func(args []string) (string, url.Values, string) {
			return "/orders", url.Values{"count": append(args, "1")[:1]}, ""
		}),
		call("list [N]", "List the last N orders with their timers (default 50)", cobra.MaximumNArgs(1), http.MethodGet, func(args []string) (string, url.Values, string) {
			return "/orders", url.Values{"limit": append(args, "50")[:1]}, ""
		}),
		call("status ORDER_ID STATUS", "Set any status, known or unknown", cobra.ExactArgs(2), http.MethodPost, func(args []string) (string, url.Values, string) {
			return "/orders/" + url.PathEscape(args[0]) + "/status", url.Values{"status": args[1:]}, ""
		}),
		call("delete ORDER_ID", "Delete an order, the only way to cancel one", cobra.ExactArgs(1), http.MethodDelete, func(args []string) (string, url.Values, string) {
			return "/orders/" + url.PathEscape(args[0]), nil, ""
		}),
		call("forget", "Forget all orders, as a restart of the original does", cobra.NoArgs, http.MethodPost, func([]string) (string, url.Values, string) {
			return "/forget", nil, ""
		}),
		call("event ORDER_ID STATUS", "Publish an event that need not be true", cobra.ExactArgs(2), http.MethodPost, func(args []string) (string, url.Values, string) {
			return "/events", url.Values{"order_id": args[:1], "status": args[1:]}, ""
		}),
		call("publish VALUE", "Publish any value, such as a malformed event", cobra.ExactArgs(1), http.MethodPost, func(args []string) (string, url.Values, string) {
			return "/events", nil, args[0]
		}),
		call("replay [N]", "Publish the last 500 events N times (default 3), shuffled", cobra.MaximumNArgs(1), http.MethodPost, func(args []string) (string, url.Values, string) {
			return "/replay", url.Values{"copies": append(args, "3")[:1]}, ""
		}),
		faults(call),
	)
	return cmd
}

func faults(call func(string, string, cobra.PositionalArgs, string, func([]string) (string, url.Values, string)) *cobra.Command) *cobra.Command {
	var fail, delay, shuffle time.Duration
	var lose, duplicate float64
	cmd := call("faults", "Replace the faults; without flags end them", cobra.NoArgs, http.MethodPost, func([]string) (string, url.Values, string) {
		return "/faults", url.Values{
			"fail": {fail.String()}, "delay": {delay.String()}, "shuffle": {shuffle.String()},
			"lose": {strconv.FormatFloat(lose, 'g', -1, 64)}, "duplicate": {strconv.FormatFloat(duplicate, 'g', -1, 64)},
		}, ""
	})
	flags := cmd.Flags()
	flags.DurationVar(&fail, "fail", 0, "answer every request with an error for this time")
	flags.DurationVar(&delay, "delay", 0, "delay every answer")
	flags.Float64Var(&lose, "lose", 0, "never publish this share of the events (0 to 1)")
	flags.Float64Var(&duplicate, "duplicate", 0, "publish this share of the events twice (0 to 1)")
	flags.DurationVar(&shuffle, "shuffle", 0, "delay each event by a random time up to this")
	return cmd
}

// usage turns a wrong number of arguments into a usage error.
func usage(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
		}
		return nil
	}
}

// control sends a request and prints the answer.
func control(ctx context.Context, out io.Writer, addr, method, path string, query url.Values, body string) error {
	host, err := dialAddress(addr)
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, ctlTimeout)
	defer cancel()
	target := "http://" + host + ordersim.ControlPath + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy of the environment
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("service-order does not answer at %s: start it, or give its address with --server: %w", host, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		var problem struct{ Message string }
		if json.Unmarshal(text, &problem) != nil || problem.Message == "" {
			return fmt.Errorf("%s answers %s: is it a service-order simulator of this version?", host, resp.Status)
		}
		return errors.New(problem.Message)
	}
	_, err = out.Write(text)
	return err
}
