package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"time"

	"service-courier/internal/app"
	"service-courier/internal/cli/output"
	"service-courier/internal/config"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/kafka"
	"service-courier/internal/usecase/deadletters"
)

// deadLettersConns is one for a list in progress and one for changes meanwhile.
const deadLettersConns = 2

func withDeadLettersAt(ctx context.Context, url string, do func(*deadletters.DeadLetters) error) error {
	pool, err := postgres.Open(ctx, url, deadLettersConns)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := postgres.CheckSchema(ctx, pool); err != nil {
		return postgres.ExplainError(err)
	}
	return do(deadletters.New(postgres.NewDeadLetters(pool)))
}

// withDeadLetters reads only the setting DATABASE_URL.
func withDeadLetters(ctx context.Context, do func(*deadletters.DeadLetters) error) error {
	url, err := config.LoadDatabaseURL()
	if err != nil {
		return err
	}
	return withDeadLettersAt(ctx, url, do)
}

func withDeadLetter(ctx context.Context, id int64, do func(deadletters.DeadLetter) error) error {
	return withDeadLetters(ctx, func(store *deadletters.DeadLetters) error {
		d, err := store.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("id %d: %w", id, err)
		}
		return do(d)
	})
}

// ListDeadLetters prints at most limit dead letters (0: all): a table shows a summary of
// each, the other formats everything.
func ListDeadLetters(ctx context.Context, f deadletters.Filter, limit int, w output.Writer, notes io.Writer) error {
	if limit < 0 {
		return errLimit
	}
	if limit == 0 {
		limit = math.MaxInt32
	}
	kind := "pending"
	if f.Handled {
		kind = "handled"
	}
	return withDeadLetters(ctx, func(store *deadletters.DeadLetters) error {
		summaries, total, err := store.List(ctx, f, limit)
		switch {
		case err != nil:
			return err
		case w.Format != output.Table:
			_, err = w.List(exportedDeadLetters(ctx, store, f), nil, limit)
		case total > 0:
			err = w.Rows(summaryRows(summaries, time.Now()))
		}
		if err != nil {
			return err
		}
		switch {
		case total == 0:
			_, err = fmt.Fprintf(notes, "no %s dead letters\n", kind)
		case total > limit:
			_, err = fmt.Fprintf(notes, "%d of %d %s dead letters are shown; use --limit to show more\n", limit, total, kind)
		}
		return err
	})
}

// ShowDeadLetter prints everything about one dead letter.
func ShowDeadLetter(ctx context.Context, id int64, w output.Writer) error {
	return withDeadLetter(ctx, id, func(d deadletters.DeadLetter) error {
		if w.Format == output.Table {
			return w.Rows(detailRows(d))
		}
		document, err := json.Marshal(toExported(d))
		if err != nil {
			return fmt.Errorf("encode dead letter %d: %w", id, err)
		}
		return w.Item(document, nil)
	})
}

// WritePayload writes the payload of a dead letter byte for byte, but no control
// characters to a terminal, which would follow them.
func WritePayload(ctx context.Context, id int64, out io.Writer) error {
	return withDeadLetter(ctx, id, func(d deadletters.DeadLetter) error {
		if text := string(d.Payload); IsTerminal(out) && output.PrintableLines(text) != text {
			return Usagef("the payload contains control characters: write it to a file or a pipe, or omit --raw")
		}
		_, err := out.Write(d.Payload)
		return err
	})
}

// EditDeadLetter replaces the payload of a dead letter.
func EditDeadLetter(ctx context.Context, id int64, edit Edit, out io.Writer) error {
	return withDeadLetters(ctx, func(store *deadletters.DeadLetters) error {
		payload, changed, err := store.Edit(ctx, id, edit)
		if err != nil {
			return fmt.Errorf("id %d: %w", id, err)
		}
		if !changed {
			_, err := fmt.Fprintf(out, "dead letter %d unchanged\n", id)
			return err
		}
		fmt.Fprintf(out, "dead letter %d edited; to send it: service-courier deadletters redrive %d\n", id, id)
		if why := kafka.DeadLetterReason(payload); why != "" {
			fmt.Fprintf(out, "warning: with this payload it would become a dead letter again: %s\n", why)
		}
		return nil
	})
}

// DiscardDeadLetters discards dead letters after a confirmation.
func DiscardDeadLetters(ctx context.Context, s deadletters.Selection, confirm Confirm, out io.Writer) error {
	return withDeadLetters(ctx, func(store *deadletters.DeadLetters) error {
		n, err := store.Count(ctx, s)
		if err != nil || n == 0 {
			return noneMatch(out, err)
		}
		if err := confirm(fmt.Sprintf("Discard %s? Their records will never be processed.", deadLetterCount(n))); err != nil {
			return err
		}
		report, err := store.DiscardSelected(ctx, s, printResult(out, "discarded"))
		return printReport(out, "discarded", report, err)
	})
}

// RedriveDeadLetters publishes dead letters to the order topic again; all of them
// only after a confirmation.
func RedriveDeadLetters(ctx context.Context, s deadletters.Selection, o deadletters.RedriveOptions, confirm Confirm, out io.Writer) error {
	if o.Rate < 0 {
		return Usagef("--rate: want records per second, or 0 for no limit")
	}
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	return withDeadLettersAt(ctx, cfg.DatabaseURL, func(store *deadletters.DeadLetters) (err error) {
		n, err := store.Count(ctx, s)
		if err != nil || n == 0 {
			return noneMatch(out, err)
		}
		if o.DryRun {
			report, err := store.RedriveSelected(ctx, s, nil, o, printResult(out, "would be redriven"))
			return printReport(out, "would be redriven", report, err)
		}
		if s.All {
			if err := confirm(fmt.Sprintf("Redrive %s to topic %s?", deadLetterCount(n), cfg.KafkaTopic)); err != nil {
				return err
			}
		}
		producer, err := kafka.NewProducer(context.WithoutCancel(ctx), app.KafkaConfig(cfg)) // Ctrl-C waits for the record in flight
		if err != nil {
			return fmt.Errorf("no dead letter was redriven: %w", err)
		}
		defer func() { err = errors.Join(err, producer.Close()) }()
		report, err := store.RedriveSelected(ctx, s, producer, o, printResult(out, "redriven"))
		return printReport(out, "redriven", report, err)
	})
}

func noneMatch(out io.Writer, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "no pending dead letters match")
	return err
}

// printResult returns a function that prints a line per dead letter.
func printResult(out io.Writer, done string) func(deadletters.Result) {
	return func(r deadletters.Result) {
		switch {
		case r.Outcome != deadletters.Done:
			fmt.Fprintf(out, "%d %s: %v\n", r.ID, r.Outcome, r.Err)
		case done == "redriven":
			fmt.Fprintf(out, "%d %s to %d@%d\n", r.ID, done, r.At.Partition, r.At.Offset)
		default:
			fmt.Fprintf(out, "%d %s\n", r.ID, done)
		}
	}
}

// printReport prints the totals; the command fails if a dead letter failed.
func printReport(out io.Writer, done string, r deadletters.Report, err error) error {
	fmt.Fprintf(out, "%d %s, %d failed, %d skipped\n", r.Done, done, r.Failed, r.Skipped)
	if err == nil && r.Failed > 0 {
		err = fmt.Errorf("%s failed; see the lines above", deadLetterCount(r.Failed))
	}
	return err
}

func deadLetterCount(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return fmt.Sprintf("%d dead letters", n)
}

// ExportDeadLetters writes one line of JSON per dead letter to the file at path, or
// to out for "". The file is complete or does not change.
func ExportDeadLetters(ctx context.Context, f deadletters.Filter, path string, out io.Writer) error {
	return withDeadLetters(ctx, func(store *deadletters.DeadLetters) error {
		if path == "" {
			_, err := export(ctx, store, f, out)
			return err
		}
		if err := checkReplaceable(path); err != nil {
			return err
		}
		var n int
		err := replaceFile(path, func(file io.Writer) (err error) {
			n, err = export(ctx, store, f, file)
			return err
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s exported to %s\n", deadLetterCount(n), path)
		return err
	})
}

func export(ctx context.Context, store *deadletters.DeadLetters, f deadletters.Filter, out io.Writer) (n int, err error) {
	buffered := bufio.NewWriter(out)
	for document, err := range exportedDeadLetters(ctx, store, f) {
		if err == nil {
			_, err = buffered.Write(append(document, '\n'))
		}
		if err != nil {
			return n, errors.Join(err, buffered.Flush())
		}
		n++
	}
	return n, buffered.Flush()
}

// checkReplaceable refuses everything but a regular file and nothing: a rename would
// remove a link, a FIFO or, as root, a device such as /dev/null.
func checkReplaceable(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("--output: %s is not a regular file; name another file, or omit --output to write to standard output", path)
	}
	return nil // os.CreateTemp returns any other error
}

// replaceFile writes a new file next to path and renames it when it is complete.
// Only its owner can read it, since records may be confidential.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("--output: %w; choose a directory that you may write to", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	if err := errors.Join(write(file), file.Close(), checkReplaceable(path)); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	return nil
}

// exported is a dead letter as JSON. Bytes are base64; absent ones are null.
type exported struct {
	ID         int64            `json:"id"`
	Status     string           `json:"status"`
	Topic      string           `json:"topic"`
	Partition  int32            `json:"partition"`
	Offset     int64            `json:"offset"`
	ProducedAt time.Time        `json:"produced_at"`
	CreatedAt  time.Time        `json:"created_at"`
	HandledAt  time.Time        `json:"handled_at,omitzero"`
	EditedAt   time.Time        `json:"edited_at,omitzero"`
	Reason     string           `json:"reason"`
	Detail     string           `json:"detail"`
	Redrives   int              `json:"redrives"`
	Key        []byte           `json:"key"`
	Payload    []byte           `json:"payload"`
	Original   []byte           `json:"original_payload"`
	Headers    []exportedHeader `json:"headers"`
}

type exportedHeader struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

func toExported(d deadletters.DeadLetter) exported {
	e := exported{
		ID: d.ID, Status: string(d.Status), Topic: d.Topic, Partition: d.Partition, Offset: d.Offset,
		ProducedAt: d.ProducedAt.UTC(), CreatedAt: d.CreatedAt.UTC(), HandledAt: d.HandledAt.UTC(), EditedAt: d.EditedAt.UTC(),
		Reason: d.Reason, Detail: d.Detail, Redrives: d.Redrives, Key: d.Key, Payload: d.Payload, Original: d.Original,
		Headers: make([]exportedHeader, len(d.Headers)),
	}
	for i, h := range d.Headers {
		e.Headers[i] = exportedHeader(h)
	}
	return e
}

// exportedDeadLetters yields dead letters as JSON, by id.
func exportedDeadLetters(ctx context.Context, store *deadletters.DeadLetters, f deadletters.Filter) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		stop := errors.New("stopped by the reader")
		err := store.Each(ctx, f, func(d deadletters.DeadLetter) error {
			document, err := json.Marshal(toExported(d))
			if !yield(document, err) {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			yield(nil, err)
		}
	}
}
