package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"service-courier/internal/client"
	"service-courier/internal/output"
)

func (r *remote) events() *cobra.Command {
	return group("events", "See what happens to orders", "", r.tail())
}

// The columns of a change; its first line has no header, since lines come one by one.
var changeColumns = []output.Column{
	{Title: "at", Path: "at", Show: output.Clock},
	{Title: "state", Path: "state", Width: len("cancelled")},
	{Title: "order", Path: "order_id", Width: 36}, // a UUID, as service-order's are
	{Title: "courier", Path: "courier_id", Width: len("courier 100000"), Show: func(id any) string { return fmt.Sprintf("courier %v", id) }},
	{Title: "source", Path: "source"},
	{Title: "reason", Path: "reason"},
}

var snapshotColumns = []output.Column{
	{Title: "at", Path: "at", Show: output.Clock},
	{Title: "couriers available", Path: "couriers.available"},
	{Title: "couriers busy", Path: "couriers.busy"},
	{Title: "couriers paused", Path: "couriers.paused"},
	{Title: "orders waiting", Path: "waiting.count"},
	{Title: "orders assigned", Path: "assigned.count"},
	{Title: "orders held", Path: "held.count"},
}

func (r *remote) tail() *cobra.Command {
	return r.formats(&cobra.Command{
		Use: "tail", Short: "Show how things stand, then each change as it happens, until Ctrl-C", Args: cobra.NoArgs,
		Long: "Shows how things stand, then each order that reaches another state. A connection that breaks is taken up\n" +
			"again behind the last change. With -o json or ndjson each is a line: {\"event\", \"id\", \"data\"}.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.connect()
			if err != nil {
				return err
			}
			write := r.eventWriter(cmd)
			return c.Tail(cmd.Context(), apiRoot+"/stream", write, func(err error) {
				fmt.Fprintln(cmd.ErrOrStderr(), "trying again:", err)
			})
		},
	})
}

// tailed is an event as a line of JSON.
type tailed struct {
	Event string          `json:"event"`
	ID    string          `json:"id"`
	Data  json.RawMessage `json:"data"`
}

func (r *remote) eventWriter(cmd *cobra.Command) func(client.Event) error {
	w := r.writer(cmd)
	return func(e client.Event) error {
		switch {
		case w.Format != output.Table:
			return w.Line(tailed{e.Name, e.ID, e.Data})
		case e.Name == "snapshot":
			return w.Item(e.Data, snapshotColumns)
		default:
			return w.Row(e.Data, changeColumns)
		}
	}
}

func (r *remote) openapi() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the API's description (OpenAPI 3.1)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.format = output.JSON
			return r.show(cmd, "/openapi.json", nil, nil)
		},
	}
}
