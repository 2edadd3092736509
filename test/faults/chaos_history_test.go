package faults

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

// tellHistory tells what the topic and the journal have of an order that is not
// right: whether its events were ever there, and what came of them.
func (c *chaos) tellHistory(order string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.kafka.Addr()), kgo.ConsumeTopics(topic))
	c.must(err)
	defer reader.Close()
	missing := int64(0)
	for _, end := range c.ends() {
		missing += end
	}
	for missing > 0 && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			missing--
			if strings.Contains(string(r.Value), order) {
				c.tell("%s: in the topic at %d@%d of %v: %s", order, r.Partition, r.Offset, r.Timestamp.UTC(), r.Value)
			}
		})
	}
	rows, err := c.pool.Query(ctx, "SELECT concat_ws(' ', at, what, courier_id, source, reason) FROM journal WHERE order_id = $1 ORDER BY xid, id", order)
	c.must(err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	c.must(err)
	for _, line := range lines {
		c.tell("%s: in the journal: %s", order, line)
	}
	c.tell("%s: %d records of the topic were not read, %d rows are in the journal", order, missing, len(lines))
}
