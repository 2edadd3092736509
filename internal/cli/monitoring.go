package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"service-courier/internal/cli/client"
	"service-courier/internal/cli/output"
)

// StatisticsQuery selects statistics; "" and 0 leave the choice to the server.
type StatisticsQuery struct {
	From, To    string // days
	Today       bool   // instead of From and To
	By          string // day or period
	CourierID   int64  // of one courier only
	EachCourier bool   // one row per courier
	Limit       int    // of EachCourier
}

// Statistics prints statistics of deliveries, and of which days.
func (s *Server) Statistics(ctx context.Context, q StatisticsQuery) error {
	today := time.Now().UTC().Format(time.DateOnly)
	if q.Today {
		q.From, q.To, q.By = today, today, "period" // a row even without a delivery
	}
	path := apiRoot + "/statistics"
	if q.EachCourier {
		q.To = cmp.Or(q.To, today) // the same period on each page, also at midnight
		return s.list(ctx, listing{
			path: path + "/couriers", query: query("from", q.From, "to", q.To), limit: q.Limit, empty: "no couriers", first: s.notePeriod,
			columns: statisticsColumns(output.Column{Title: "courier", Path: "courier_id"}, output.Column{Title: "name", Path: "courier_name"}),
		})
	}
	if q.CourierID != 0 {
		path = couriersPath + "/" + strconv.FormatInt(q.CourierID, 10) + "/statistics"
	}
	answer, err := s.client.Get(ctx, path, query("from", q.From, "to", q.To, "by", q.By))
	if err != nil {
		return err
	}
	var found struct{ Items []json.RawMessage }
	if err := json.Unmarshal(answer, &found); err != nil {
		return fmt.Errorf("read the statistics: %w", err)
	}
	s.notePeriod(answer)
	if len(found.Items) == 0 {
		fmt.Fprintln(s.notes, "no deliveries")
	}
	_, err = s.out.List(each(found.Items),
		statisticsColumns(output.Column{Title: "from", Path: "from"}, output.Column{Title: "to", Path: "to"}), 0)
	return err
}

// notePeriod notes the days of statistics.
func (s *Server) notePeriod(statistics json.RawMessage) {
	var period struct{ From, To string }
	_ = json.Unmarshal(statistics, &period)
	fmt.Fprintln(s.notes, output.Printable(statisticsPeriod(period.From, period.To, time.Local)))
}

// statisticsPeriod says which days the statistics have, and when they begin in the zone of
// the user.
func statisticsPeriod(from, to string, local *time.Location) string {
	text := "deliveries completed from " + from + " to " + to + ", days in UTC"
	begin, err := time.Parse(time.DateOnly, from)
	if _, offset := begin.In(local).Zone(); err == nil && offset != 0 {
		text += " (from " + begin.In(local).Format("15:04 MST") + ")"
	}
	return text
}

func statisticsColumns(key ...output.Column) []output.Column {
	return append(key,
		output.Column{Title: "deliveries", Path: "deliveries"},
		output.Column{Title: "overdue", Path: "overdue_share", Show: output.Percent},
		output.Column{Title: "average", Path: "average_delivery_seconds", Show: output.Seconds},
		output.Column{Title: "p95", Path: "p95_delivery_seconds", Show: output.Seconds},
		output.Column{Title: "waiting", Path: "average_waiting_seconds", Show: output.Seconds},
	)
}

var lagColumns = []output.Column{
	{Title: "partition", Path: "partition"},
	{Title: "committed", Path: "committed_offset"},
	{Title: "end", Path: "end_offset"},
	{Title: "lag", Path: "lag"},
}

// Lag prints the consumer lag of each partition. More than most is an error; nil: no limit.
func (s *Server) Lag(ctx context.Context, w Watch, most *int64) error {
	if most != nil && *most < 0 {
		return Usagef("--fail-above: want a number of records, 0 or more")
	}
	w.Strict = most != nil
	return s.watch(ctx, w, func(s *Server) error { return s.lagOnce(ctx, most) })
}

func (s *Server) lagOnce(ctx context.Context, most *int64) error {
	answer, err := s.client.Get(ctx, apiRoot+"/consumer", nil)
	if err != nil {
		return err
	}
	var consumer struct {
		Partitions []json.RawMessage `json:"partitions"`
		TotalLag   *int64            `json:"total_lag"` // nil: unknown
		KafkaError string            `json:"kafka_error"`
		Outbox     *struct {
			Topic    string
			Pending  int64
			OldestAt *time.Time `json:"oldest_at"`
		}
	}
	if err := json.Unmarshal(answer, &consumer); err != nil {
		return fmt.Errorf("read the consumer status: %w", err)
	}
	if len(consumer.Partitions) > 0 || consumer.TotalLag != nil {
		if _, err := s.out.List(each(consumer.Partitions), lagColumns, 0); err != nil {
			return err
		}
	}
	if o := consumer.Outbox; o != nil && s.out.Format == output.Table {
		line := fmt.Sprintf("outbox: transitions not published to %s yet: %d", o.Topic, o.Pending)
		if o.OldestAt != nil {
			line += ", the oldest of " + output.Clock(o.OldestAt.Format(time.RFC3339))
		}
		fmt.Fprintln(s.out.Out, output.Printable(line))
	}
	switch {
	case consumer.TotalLag == nil:
		return preconditionError{lagUnknown(consumer.KafkaError)}
	case most != nil && *consumer.TotalLag > *most:
		return fmt.Errorf("lag is %d, more than %d", *consumer.TotalLag, *most)
	}
	return nil
}

func lagUnknown(why string) error {
	return fmt.Errorf("lag is unknown, the server cannot read it from Kafka: %s", why)
}

var (
	snapshotColumns = []output.Column{
		{Title: "at", Path: "at", Show: output.Clock},
		{Title: "couriers available", Path: "couriers.available"},
		{Title: "couriers busy", Path: "couriers.busy"},
		{Title: "couriers paused", Path: "couriers.paused"},
		{Title: "orders waiting", Path: "waiting.count"},
		{Title: "orders assigned", Path: "assigned.count"},
		{Title: "orders held", Path: "held.count"},
	}
	// changeColumns have widths, since changes are printed one by one.
	changeColumns = []output.Column{
		{Title: "at", Path: "at", Show: output.Clock},
		{Title: "state", Path: "state", Width: len("cancelled")},
		{Title: "order", Path: "order_id", Width: 36}, // a UUID
		{Title: "courier", Path: "courier_id", Width: len("courier 100000"), Show: func(id any) string { return fmt.Sprintf("courier %v", id) }},
		{Title: "name", Path: "courier_name", Width: 12},
		{Title: "source", Path: "source"},
		{Title: "reason", Path: "reason"},
	}
	courierChangeColumns = []output.Column{
		{Title: "at", Path: "at", Show: output.Clock},
		{Title: "change", Path: "change", Width: len("registered")},
		{Title: "courier", Path: "courier.id", Width: len("courier 100000"), Show: func(id any) string { return fmt.Sprintf("courier %v", id) }},
		{Title: "name", Path: "courier.name"},
		{Title: "status", Path: "courier.status"},
		{Title: "source", Path: "source"},
	}
)

// TailEvents prints a snapshot, then each change until ctx ends.
func (s *Server) TailEvents(ctx context.Context) error {
	return s.client.Tail(ctx, apiRoot+"/stream", s.printEvent, func(err error) {
		fmt.Fprintln(s.notes, "reconnecting:", err)
	})
}

func (s *Server) printEvent(e client.Event) error {
	switch {
	case s.out.Format != output.Table:
		return s.out.Line(struct {
			Event string          `json:"event"`
			ID    string          `json:"id"`
			Data  json.RawMessage `json:"data"`
		}{e.Name, e.ID, e.Data})
	case e.Name == "snapshot":
		return s.out.Item(e.Data, snapshotColumns)
	case e.Name == "change":
		return s.out.Row(e.Data, changeColumns)
	case e.Name == "courier":
		return s.out.Row(e.Data, courierChangeColumns)
	default: // of a later version
		return nil
	}
}
