package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/output"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/kafka"
	"service-courier/internal/usecase/deadletters"
)

// deadLettersConns is one for the work, and one so that nothing waits for it.
const deadLettersConns = 2

// withDeadLetters opens the letters of the database at url.
func withDeadLetters(ctx context.Context, url string, do func(*deadletters.Letters) error) error {
	pool, err := postgres.Open(ctx, url, deadLettersConns)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := postgres.CheckSchema(ctx, pool); err != nil {
		return postgres.ForPerson(err)
	}
	return do(deadletters.New(postgres.NewDeadLetters(pool)))
}

// withStoredLetters is for what needs no Kafka, and so no setting but DATABASE_URL.
func withStoredLetters(ctx context.Context, do func(*deadletters.Letters) error) error {
	url, err := config.LoadDatabaseURL()
	if err != nil {
		return err
	}
	return withDeadLetters(ctx, url, do)
}

// ListDeadLetters prints a line a letter, at most limit; for programs, all that
// is known of each. That there are more goes to talk.
func ListDeadLetters(ctx context.Context, f deadletters.Filter, limit int, w output.Writer, talk io.Writer) error {
	return withStoredLetters(ctx, func(letters *deadletters.Letters) error {
		heads, total, err := letters.List(ctx, f, limit)
		if err != nil {
			return err
		}
		if w.Format == output.Table {
			err = printHeads(w.Out, heads, total, f, time.Now())
		} else {
			_, err = w.List(documents(ctx, letters, f), nil, limit)
		}
		if err == nil && total > limit {
			_, err = fmt.Fprintf(talk, "%d of %d %s letters; --limit shows more\n", limit, total, kindOf(f))
		}
		return err
	})
}

// ShowDeadLetter prints all that is known of one letter.
func ShowDeadLetter(ctx context.Context, id int64, w output.Writer) error {
	return withDeadLetter(ctx, id, func(l deadletters.Letter) error {
		if w.Format == output.Table {
			return printLetter(w.Out, l)
		}
		document, err := json.Marshal(toExported(l))
		if err != nil {
			return fmt.Errorf("write letter %d: %w", id, err)
		}
		return w.Item(document, nil)
	})
}

// CopyDeadLetter writes a letter's payload and nothing else, byte for byte.
func CopyDeadLetter(ctx context.Context, id int64, out io.Writer) error {
	return withDeadLetter(ctx, id, func(l deadletters.Letter) error {
		_, err := out.Write(l.Payload)
		return err
	})
}

func withDeadLetter(ctx context.Context, id int64, do func(deadletters.Letter) error) error {
	return withStoredLetters(ctx, func(letters *deadletters.Letters) error {
		l, err := letters.Show(ctx, id)
		if err != nil {
			return ofLetter(id, err)
		}
		return do(l)
	})
}

// EditDeadLetter gives a letter the payload that change makes of the present one.
func EditDeadLetter(ctx context.Context, id int64, change func([]byte) ([]byte, error), out io.Writer) error {
	return withStoredLetters(ctx, func(letters *deadletters.Letters) error {
		payload, changed, err := letters.Edit(ctx, id, change)
		if err != nil {
			return ofLetter(id, err)
		}
		if !changed {
			_, err := fmt.Fprintf(out, "%d is unchanged\n", id)
			return err
		}
		fmt.Fprintf(out, "%d has its new payload; 'service-courier deadletters redrive %d' sends it\n", id, id)
		if why := kafka.WhyDead(payload); why != "" {
			fmt.Fprintf(out, "but as it is, it would become a dead letter again: %s\n", why)
		}
		return nil
	})
}

// Confirm asks whether to do what the question says. An error says that it must
// not be done, and why.
type Confirm func(question string) error

// DropDeadLetters gives letters up, once confirmed.
func DropDeadLetters(ctx context.Context, s deadletters.Selection, confirm Confirm, out io.Writer) error {
	return withStoredLetters(ctx, func(letters *deadletters.Letters) error {
		n, err := letters.Count(ctx, s)
		if err != nil || n == 0 {
			return nothing(out, err)
		}
		if err := confirm(fmt.Sprintf("Drop %s? Their events are never processed.", lettersOf(n))); err != nil {
			return err
		}
		report, err := letters.Drop(ctx, s, printResult(out, "dropped"))
		return finish(out, "dropped", report, err)
	})
}

// RedriveDeadLetters sends letters through the order topic once more, those of
// everything once confirmed.
func RedriveDeadLetters(ctx context.Context, s deadletters.Selection, o deadletters.RedriveOptions, confirm Confirm, out io.Writer) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	return withDeadLetters(ctx, cfg.DatabaseURL, func(letters *deadletters.Letters) error {
		n, err := letters.Count(ctx, s)
		if err != nil || n == 0 {
			return nothing(out, err)
		}
		if o.DryRun {
			report, err := letters.Redrive(ctx, s, nil, o, printResult(out, "would be redriven"))
			return finish(out, "would be redriven", report, err)
		}
		if s.All {
			if err := confirm(fmt.Sprintf("Redrive %s to topic %s?", lettersOf(n), cfg.KafkaTopic)); err != nil {
				return err
			}
		}
		return redriveTo(ctx, kafkaConfig(cfg), letters, s, o, out)
	})
}

func redriveTo(
	ctx context.Context, cfg kafka.Config, letters *deadletters.Letters, s deadletters.Selection, o deadletters.RedriveOptions, out io.Writer,
) (err error) {
	producer, err := kafka.NewProducer(context.WithoutCancel(ctx), cfg) // Ctrl-C waits for the record on its way
	if err != nil {
		return fmt.Errorf("no letter was touched: %w", err)
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	report, err := letters.Redrive(ctx, s, producer, o, printResult(out, "redriven"))
	return finish(out, "redriven", report, err)
}

func nothing(out io.Writer, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "no letter is waiting that was chosen so")
	return err
}

// finish says what was done in all, and makes failures the command's own.
func finish(out io.Writer, done string, r deadletters.Report, err error) error {
	fmt.Fprintf(out, "%d %s, %d failed, %d skipped\n", r.Done, done, r.Failed, r.Skipped)
	if err != nil {
		return err
	}
	if r.Failed > 0 {
		return fmt.Errorf("%s failed; the lines above say why", lettersOf(r.Failed))
	}
	return nil
}

func ofLetter(id int64, err error) error { return fmt.Errorf("letter %d: %w", id, err) }

func lettersOf(n int) string {
	if n == 1 {
		return "1 letter"
	}
	return fmt.Sprintf("%d letters", n)
}
