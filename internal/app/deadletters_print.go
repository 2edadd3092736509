package app

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"service-courier/internal/usecase/deadletters"
)

// printHeads prints a line a letter. What came from outside is quoted: a record
// may hold codes that a terminal obeys.
func printHeads(out io.Writer, heads []deadletters.Head, total int, f deadletters.Filter, now time.Time) error {
	if total == 0 {
		_, err := fmt.Fprintf(out, "no %s letters\n", kindOf(f))
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tAGE\tWHERE\tREASON\tROUNDS\tSTATUS\tPAYLOAD")
	for _, h := range heads {
		fmt.Fprintf(w, "%d\t%s\t%d@%d\t%s\t%d\t%s\t%s\n", h.ID, age(now.Sub(h.CreatedAt)), h.Partition, h.Offset,
			h.Reason, h.Rounds, statusOf(h), beginning(h))
	}
	return w.Flush()
}

func kindOf(f deadletters.Filter) string {
	if f.Handled {
		return "handled"
	}
	return "waiting"
}

func statusOf(h deadletters.Head) string {
	if h.Edited {
		return string(h.Status) + ", edited"
	}
	return string(h.Status)
}

const beginningColumns = 50

// beginning is the payload's first columns on one line.
func beginning(h deadletters.Head) string {
	if h.Size == 0 {
		return "(empty)"
	}
	text := quoted(h.Begins)
	if runes := []rune(text); len(runes) > beginningColumns {
		return string(runes[:beginningColumns-1]) + "…"
	}
	if h.Size > len(h.Begins) {
		return text + "…"
	}
	return text
}

// quoted leaves plain text as it is, and escapes the rest.
func quoted(b []byte) string {
	if utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return string(b)
	}
	text := strconv.Quote(string(b))
	return text[1 : len(text)-1]
}

// age is a duration in one unit, for a column.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	default:
		return strconv.Itoa(int(d.Hours()/24)) + "d"
	}
}

// printLetter prints all that is known of a letter.
func printLetter(out io.Writer, l deadletters.Letter) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(w, "%s\t%s\n", name, value) }
	row("letter", strconv.FormatInt(l.ID, 10)+", "+string(l.Status)+at(l.HandledAt))
	row("record", fmt.Sprintf("%s %d@%d, produced%s", quoted([]byte(l.Topic)), l.Partition, l.Offset, at(l.ProducedAt)))
	row("died", strings.TrimPrefix(at(l.CreatedAt), " "))
	row("reason", l.Reason+": "+quoted([]byte(l.Detail)))
	row("rounds", fmt.Sprintf("%d of %d", l.Rounds, deadletters.MaxRounds))
	row("key", orNone(l.Key))
	for _, h := range l.Headers {
		row("header", quoted(h.Key)+" = "+orNone(h.Value))
	}
	if !l.EditedAt.IsZero() {
		row("original", orNone(l.Original))
		row("edited", strings.TrimPrefix(at(l.EditedAt), " "))
	}
	row("payload", orNone(l.Payload))
	return w.Flush()
}

func orNone(b []byte) string {
	switch {
	case b == nil:
		return "(none)"
	case len(b) == 0:
		return "(empty)"
	}
	return quoted(b)
}

// at is " at TIME", or nothing for none.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " at " + t.UTC().Format(time.RFC3339)
}

// printResult prints a line a letter.
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
