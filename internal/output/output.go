package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Format is how answers are written.
type Format string

// The formats.
const (
	Table  Format = "table"  // for a person
	JSON   Format = "json"   // one document, indented
	NDJSON Format = "ndjson" // a document a line, as they come
)

// String implements pflag.Value.
func (f *Format) String() string { return string(*f) }

// Set implements pflag.Value.
func (f *Format) Set(s string) error {
	switch Format(s) {
	case Table, JSON, NDJSON:
		*f = Format(s)
		return nil
	}
	return fmt.Errorf("want %s, %s or %s", Table, JSON, NDJSON)
}

// Type implements pflag.Value.
func (*Format) Type() string { return "table|json|ndjson" }

// Writer writes answers in one format.
type Writer struct {
	Out    io.Writer
	Format Format
	Color  bool // states in a table are coloured
}

// Item writes one answer. In a table each column is a line, its name before it.
func (w Writer) Item(item json.RawMessage, columns []Column) error {
	switch w.Format {
	case JSON:
		return w.indented(item)
	case NDJSON:
		return w.line(item)
	default:
		return w.pairs(item, columns)
	}
}

// List writes answers as they come, at most limit of them (0: all). more
// reports whether there were others.
func (w Writer) List(items iter.Seq2[json.RawMessage, error], columns []Column, limit int) (more bool, err error) {
	var taken []json.RawMessage
	n := 0
	for item, err := range items {
		switch {
		case err != nil:
			return false, err
		case limit > 0 && n == limit:
			more = true
		case w.Format == NDJSON:
			if err := w.line(item); err != nil {
				return false, err
			}
		default:
			taken = append(taken, item)
		}
		if more {
			break
		}
		n++
	}
	switch w.Format {
	case JSON:
		document, err := json.Marshal(append([]json.RawMessage{}, taken...)) // never null
		if err != nil {
			return more, fmt.Errorf("write the answer: %w", err)
		}
		return more, w.indented(document)
	case NDJSON:
		return more, nil
	default:
		return more, w.table(taken, columns)
	}
}

// Line writes a value as one line of JSON, whatever the format.
func (w Writer) Line(value any) error {
	document, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return w.line(document)
}

func (w Writer) indented(document json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, document, "", "  "); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	b.WriteByte('\n')
	_, err := w.Out.Write(b.Bytes())
	return err
}

func (w Writer) line(document json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Compact(&b, document); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	b.WriteByte('\n')
	_, err := w.Out.Write(b.Bytes())
	return err
}

func (w Writer) table(items []json.RawMessage, columns []Column) error {
	rows := make([][]cell, 0, len(items)+1)
	header := make([]cell, len(columns))
	for i, c := range columns {
		header[i] = cell{text: strings.ToUpper(c.Title)}
	}
	rows = append(rows, header)
	for _, item := range items {
		row, err := cells(item, columns)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return w.aligned(rows, make([]int, len(columns)))
}

func (w Writer) pairs(item json.RawMessage, columns []Column) error {
	values, err := cells(item, columns)
	if err != nil {
		return err
	}
	var rows [][]cell
	for i, v := range values {
		if v.text != none {
			rows = append(rows, []cell{{text: columns[i].Title}, v})
		}
	}
	return w.aligned(rows, make([]int, 2))
}
