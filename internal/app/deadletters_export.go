package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"service-courier/internal/usecase/deadletters"
)

// exported is a letter as a line of JSON. Bytes are base64, absent ones null.
type exported struct {
	ID         int64            `json:"id"`
	Status     string           `json:"status"`
	Topic      string           `json:"topic"`
	Partition  int32            `json:"partition"`
	Offset     int64            `json:"offset"`
	ProducedAt time.Time        `json:"produced_at"`
	CreatedAt  time.Time        `json:"created_at"`
	HandledAt  *time.Time       `json:"handled_at"`
	EditedAt   *time.Time       `json:"edited_at"`
	Reason     string           `json:"reason"`
	Detail     string           `json:"detail"`
	Rounds     int              `json:"rounds"`
	Key        []byte           `json:"key"`
	Payload    []byte           `json:"payload"`
	Original   []byte           `json:"original_payload"`
	Headers    []exportedHeader `json:"headers"`
}

type exportedHeader struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

func toExported(l deadletters.Letter) exported {
	e := exported{
		ID: l.ID, Status: string(l.Status), Topic: l.Topic, Partition: l.Partition, Offset: l.Offset,
		ProducedAt: l.ProducedAt.UTC(), CreatedAt: l.CreatedAt.UTC(), HandledAt: orNull(l.HandledAt), EditedAt: orNull(l.EditedAt),
		Reason: l.Reason, Detail: l.Detail, Rounds: l.Rounds, Key: l.Key, Payload: l.Payload, Original: l.Original,
		Headers: make([]exportedHeader, len(l.Headers)),
	}
	for i, h := range l.Headers {
		e.Headers[i] = exportedHeader(h)
	}
	return e
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// documents are letters as JSON, in the order of their ids.
func documents(ctx context.Context, letters *deadletters.Letters, f deadletters.Filter) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		enough := errors.New("nobody wants more")
		err := letters.Each(ctx, f, func(l deadletters.Letter) error {
			document, err := json.Marshal(toExported(l))
			if !yield(document, err) {
				return enough
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(nil, err)
		}
	}
}

// ExportDeadLetters writes a line of JSON a letter to the file at path, or to
// out when path is empty. A file is there whole or not at all.
func ExportDeadLetters(ctx context.Context, f deadletters.Filter, path string, out io.Writer) error {
	return withStoredLetters(ctx, func(letters *deadletters.Letters) error {
		if path == "" {
			_, err := export(ctx, letters, f, out)
			return err
		}
		var n int
		err := replaceFile(path, func(file io.Writer) (err error) {
			n, err = export(ctx, letters, f, file)
			return err
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s written to %s\n", lettersOf(n), path)
		return err
	})
}

func export(ctx context.Context, letters *deadletters.Letters, f deadletters.Filter, out io.Writer) (n int, err error) {
	buffered := bufio.NewWriter(out)
	for document, err := range documents(ctx, letters, f) {
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

// replaceFile writes a file beside path and puts it in place when all of it is
// written. Only its owner can read it: events may be nobody else's business.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("--output: %w; choose a folder that you may write to", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	if err := errors.Join(write(file), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	return nil
}
