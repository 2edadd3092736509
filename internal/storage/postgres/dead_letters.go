package postgres

import (
	_ "embed" // for the statements

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/usecase/orderevent"
)

//go:embed sql/dead_letters_insert.sql
var deadLettersInsert string

// queueLetters adds the letters to the batch's own transaction: none is lost
// and none doubled, whatever becomes of the batch.
func queueLetters(batch *pgx.Batch, letters []orderevent.DeadLetter, saved *orderevent.Saved) {
	for _, l := range letters {
		keys, values := make([][]byte, len(l.Headers)), make([][]byte, len(l.Headers))
		for i, h := range l.Headers {
			keys[i], values[i] = h.Key, h.Value
		}
		batch.Queue(deadLettersInsert, text(l.Topic), l.Partition, l.Offset, l.ProducedAt,
			l.Key, l.Payload, keys, values, l.Reason, text(l.Detail),
		).Exec(func(tag pgconn.CommandTag) error {
			saved.Letters += int(tag.RowsAffected())
			return nil
		})
	}
}
