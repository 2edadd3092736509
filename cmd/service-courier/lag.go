package main

import (
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"service-courier/internal/output"
)

// consumer is what of the answer the command itself reads.
type consumer struct {
	Partitions []json.RawMessage `json:"partitions"`
	TotalLag   *int64            `json:"total_lag"` // nil: not known
	KafkaError string            `json:"kafka_error"`
}

var lagColumns = []output.Column{
	{Title: "partition", Path: "partition"},
	{Title: "committed", Path: "committed_offset"},
	{Title: "end", Path: "end_offset"},
	{Title: "lag", Path: "lag"},
}

const minInterval = 100 * time.Millisecond

func (r *remote) lag() *cobra.Command {
	var watch bool
	var every time.Duration
	var failAbove int64
	cmd := &cobra.Command{
		Use: "lag", Short: "Show how many events each partition has that are not handled yet", Args: cobra.NoArgs,
		Long: "Shows for each partition how many events Kafka has that are not committed. With --fail-above the exit code\n" +
			"is 1 when they are more in all, and 3 when nobody knows, since Kafka does not answer the server; with --watch\n" +
			"it shows them again and again, and ends with the first such time.",
		Example: "  service-courier lag --fail-above 1000\n  service-courier lag --watch --interval 5s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < minInterval {
				return usageError{fmt.Errorf("--interval: want %v or more", minInterval)}
			}
			if failAbove < 0 && cmd.Flags().Changed("fail-above") {
				return usageError{fmt.Errorf("--fail-above: want a number of events, 0 or more")}
			}
			if watch && r.format == output.JSON {
				return usageError{fmt.Errorf("-o json is one document, and --watch has no end: take -o ndjson, or leave out --watch")}
			}
			for {
				if err := r.showLag(cmd, failAbove); err != nil || !watch {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(every):
				}
			}
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again and again, until Ctrl-C")
	cmd.Flags().DurationVar(&every, "interval", 2*time.Second, "how often to show it with --watch")
	cmd.Flags().Int64Var(&failAbove, "fail-above", -1, "fail when more than `N` events wait")
	return r.formats(cmd)
}

// showLag writes the lag of each partition; the error says that it is too much,
// or that it may be.
func (r *remote) showLag(cmd *cobra.Command, failAbove int64) error {
	c, err := r.connect()
	if err != nil {
		return err
	}
	answer, err := c.Get(cmd.Context(), apiRoot+"/consumer", nil)
	if err != nil {
		return err
	}
	var found consumer
	if err := json.Unmarshal(answer, &found); err != nil {
		return fmt.Errorf("read the consumer's state: %w", err)
	}
	if _, err := r.writer(cmd).List(each(found.Partitions), lagColumns, 0); err != nil {
		return err
	}
	if found.TotalLag == nil {
		unknown := fmt.Errorf("the lag is not known, Kafka does not answer the server: %s", found.KafkaError)
		if failAbove >= 0 {
			return preconditionError{unknown}
		}
		fmt.Fprintln(cmd.ErrOrStderr(), unknown)
		return nil
	}
	if failAbove >= 0 && *found.TotalLag > failAbove {
		return fmt.Errorf("the lag is %d, above %d", *found.TotalLag, failAbove)
	}
	return nil
}

// each yields items that are there already.
func each(items []json.RawMessage) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}
