package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Column is a field of an item.
type Column struct {
	Title string
	Path  string                 // names joined by dots, such as delivery.courier_id
	Show  func(value any) string // formats the value; nil: unchanged
	Width int                    // minimum, for rows printed one by one
}

// cell is a text and the escape sequence of its colour, or "".
type cell struct{ text, color string }

// none stands for an absent field.
const none = "-"

func cells(item json.RawMessage, columns []Column) ([]cell, error) {
	var fields any
	decoder := json.NewDecoder(strings.NewReader(string(item)))
	decoder.UseNumber() // a float64 would round ids
	if err := decoder.Decode(&fields); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	row := make([]cell, len(columns))
	for i, c := range columns {
		value := at(fields, c.Path)
		text := none
		switch {
		case value == nil:
		case c.Show != nil:
			text = c.Show(value)
		default:
			text = plain(value)
		}
		row[i] = cell{Printable(text), colors[text]}
	}
	return row, nil
}

// at returns the value at a path through objects, or nil.
func at(value any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

func plain(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	}
	text, err := json.Marshal(value)
	if err != nil { // it came from JSON
		return fmt.Sprint(value)
	}
	return string(text)
}

// Printable escapes what is not printable: text from outside must not control the
// terminal.
func Printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`) // JSON is readable with its quotes
}

// PrintableLines is Printable for a text of several lines.
func PrintableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n")
}

// printableJSON escapes what is not printable, such as bidirectional controls, which
// JSON allows in a string. The escaped document means the same.
func printableJSON(document []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(document) { // strings of JSON are the only place for such runes, but for white space
		switch {
		case r == '\n', unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// Clock formats a time in UTC, like the logs and the API.
func Clock(value any) string {
	t, err := time.Parse(time.RFC3339, plain(value))
	if err != nil {
		return plain(value)
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// Seconds formats a number of seconds as a duration.
func Seconds(value any) string {
	s, err := strconv.ParseFloat(plain(value), 64)
	if err != nil {
		return plain(value)
	}
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// Percent formats a share of 1.
func Percent(value any) string {
	share, err := strconv.ParseFloat(plain(value), 64)
	if err != nil {
		return plain(value)
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + "%"
}

const (
	reset  = "\x1b[0m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	dim    = "\x1b[2m"
)

// colors highlights states.
var colors = map[string]string{
	"available": green, "completed": green, "closed": green,
	"busy": yellow, "assigned": yellow, "waiting": yellow, "half_open": yellow,
	"held": red, "overdue": red, "missing": red, "open": red,
	"paused": dim, "cancelled": dim,
}

const gap = 2 // spaces between columns

// Row prints one item as a row without a header.
func (w Writer) Row(item json.RawMessage, columns []Column) error {
	row, err := cells(item, columns)
	if err != nil {
		return err
	}
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = c.Width
	}
	return w.aligned([][]cell{row}, widths)
}

// aligned prints rows with aligned columns, at least as wide as widths; the last
// column is not padded.
func (w Writer) aligned(rows [][]cell, widths []int) error {
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, c := range row {
			b.WriteString(w.colored(c))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+gap))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w.Out, b.String())
	return err
}

func (w Writer) colored(c cell) string {
	if !w.Color || c.color == "" {
		return c.text
	}
	return c.color + c.text + reset
}
