package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"service-courier/internal/output"
)

// figures are the columns of any statistics, behind those that say of what.
func figures(of ...output.Column) []output.Column {
	return append(of,
		output.Column{Title: "deliveries", Path: "deliveries"},
		output.Column{Title: "late", Path: "late_share", Show: output.Percent},
		output.Column{Title: "average", Path: "average_delivery_seconds", Show: output.Seconds},
		output.Column{Title: "p95", Path: "p95_delivery_seconds", Show: output.Seconds},
		output.Column{Title: "waited", Path: "average_waiting_seconds", Show: output.Seconds},
	)
}

func (r *remote) stats() *cobra.Command {
	var from, to, by string
	var limit int
	var courierID int64
	var each bool
	cmd := &cobra.Command{
		Use: "stats", Short: "Show how many deliveries there were, how long they took, and how many were late", Args: cobra.NoArgs,
		Example: "  service-courier stats                              the last 30 days, day by day\n" +
			"  service-courier stats --by period --from 2026-01-01\n" +
			"  service-courier stats --couriers                   the same period, courier by courier",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if each {
				return r.list(cmd, apiRoot+"/statistics/couriers", query("from", from, "to", to), limit,
					figures(output.Column{Title: "courier", Path: "courier_id"}))
			}
			path := apiRoot + "/statistics"
			if courierID != 0 {
				path = couriersPath + "/" + strconv.FormatInt(courierID, 10) + "/statistics"
			}
			return r.list(cmd, path, query("from", from, "to", to, "by", by), 0,
				figures(output.Column{Title: "from", Path: "from"}, output.Column{Title: "to", Path: "to"}))
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the first `DAY` (UTC), such as 2026-01-31; 30 days back without it")
	cmd.Flags().StringVar(&to, "to", "", "the last `DAY`; today without it")
	cmd.Flags().StringVar(&by, "by", "day", "a row a day, or one for the whole period: day or period")
	cmd.Flags().Int64Var(&courierID, "courier", 0, "of the courier with this `ID` only")
	cmd.Flags().BoolVar(&each, "couriers", false, "a row a courier, for the whole period")
	cmd.MarkFlagsMutuallyExclusive("courier", "couriers")
	cmd.MarkFlagsMutuallyExclusive("by", "couriers")
	limitFlag(cmd, &limit)
	return r.formats(cmd)
}
