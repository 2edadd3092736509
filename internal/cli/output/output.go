// Package output prints JSON of a server as a table, a document or a line per item.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// Format is how items are printed.
type Format string

// The formats.
const (
	Table  Format = "table"
	JSON   Format = "json"   // one document, indented
	NDJSON Format = "ndjson" // one line per item, as it comes
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

// Writer prints in one format.
type Writer struct {
	Out    io.Writer
	Format Format
	Color  bool // colours the states in a table

	Compact bool // leaves out the columns of a list that are empty in every row
}

// Item prints one item. A table has a line per field, with its name.
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

// List prints at most limit items (0: all). more reports whether there were others.
func (w Writer) List(items iter.Seq2[json.RawMessage, error], columns []Column, limit int) (more bool, err error) {
	var kept []json.RawMessage
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
			kept = append(kept, item)
		}
		if more {
			break
		}
		n++
	}
	switch w.Format {
	case JSON:
		document, err := json.Marshal(append([]json.RawMessage{}, kept...)) // never null
		if err != nil {
			return more, fmt.Errorf("encode JSON: %w", err)
		}
		return more, w.indented(document)
	case NDJSON:
		return more, nil
	default:
		return more, w.table(kept, columns)
	}
}

// Line prints a value as one line of JSON, in every format.
func (w Writer) Line(value any) error {
	document, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	return w.line(document)
}

func (w Writer) indented(document json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, document, "", "  "); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := w.Out.Write(printableJSON(b.Bytes()))
	return err
}

func (w Writer) line(document json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Compact(&b, document); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := w.Out.Write(printableJSON(b.Bytes()))
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
	if w.Compact && len(items) > 0 {
		rows = withoutEmpty(rows)
	}
	return w.aligned(rows, make([]int, len(rows[0])))
}

// withoutEmpty returns a header and rows without the columns that are empty in every row.
func withoutEmpty(rows [][]cell) [][]cell {
	kept := make([][]cell, len(rows))
	for column := range rows[0] {
		if !slices.ContainsFunc(rows[1:], func(row []cell) bool { return row[column].text != none }) {
			continue
		}
		for i, row := range rows {
			kept[i] = append(kept[i], row[column])
		}
	}
	return kept
}

// Rows prints a table of texts, without colours.
func (w Writer) Rows(rows [][]string) error {
	table := make([][]cell, len(rows))
	columns := 0
	for i, row := range rows {
		for _, text := range row {
			table[i] = append(table[i], cell{text: Printable(text)})
		}
		columns = max(columns, len(row))
	}
	return w.aligned(table, make([]int, columns))
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
