package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"service-courier/internal/cli/output"
	"service-courier/internal/usecase/deadletters"
)

// summaryRows is a table with a header and a row per dead letter.
func summaryRows(summaries []deadletters.Summary, now time.Time) [][]string {
	rows := [][]string{{"ID", "AGE", "RECORD", "REASON", "REDRIVES", "STATUS", "PAYLOAD"}}
	for _, s := range summaries {
		status := string(s.Status)
		if s.Edited {
			status += ", edited"
		}
		rows = append(rows, []string{
			strconv.FormatInt(s.ID, 10), age(now.Sub(s.CreatedAt)), fmt.Sprintf("%d@%d", s.Partition, s.Offset),
			s.Reason, strconv.Itoa(s.Redrives), status, payloadStart(s),
		})
	}
	return rows
}

const payloadColumns = 50

// payloadStart is the beginning of the payload on one line, with single spaces for white space.
func payloadStart(s deadletters.Summary) string {
	if s.Size == 0 {
		return "(empty)"
	}
	text := output.Printable(strings.Join(strings.Fields(string(s.Preview)), " "))
	if runes := []rune(text); len(runes) > payloadColumns {
		return string(runes[:payloadColumns-1]) + "…"
	}
	if s.Size > len(s.Preview) {
		return text + "…"
	}
	return text
}

// age is a duration in one unit.
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

// detailRows are names and values.
func detailRows(d deadletters.DeadLetter) [][]string {
	rows := [][]string{
		{"dead letter", strconv.FormatInt(d.ID, 10)},
		{"status", string(d.Status) + at(d.HandledAt)},
		{"record", fmt.Sprintf("%s %d@%d, produced%s", d.Topic, d.Partition, d.Offset, at(d.ProducedAt))},
		{"failed", d.CreatedAt.UTC().Format(time.RFC3339)},
		{"reason", d.Reason + ": " + d.Detail},
		{"redrives", fmt.Sprintf("%d of %d", d.Redrives, deadletters.MaxRedrives)},
		{"key", bytesOrNone(d.Key)},
	}
	for _, h := range d.Headers {
		rows = append(rows, []string{"header", output.Printable(string(h.Key)) + " = " + bytesOrNone(h.Value)})
	}
	if !d.EditedAt.IsZero() {
		rows = append(rows, []string{"original payload", bytesOrNone(d.Original)}, []string{"edited", d.EditedAt.UTC().Format(time.RFC3339)})
	}
	return append(rows, []string{"payload", bytesOrNone(d.Payload)})
}

func bytesOrNone(b []byte) string {
	switch {
	case b == nil:
		return "(none)"
	case len(b) == 0:
		return "(empty)"
	}
	return output.Printable(string(b))
}

// at is " at TIME", or "" for the zero time.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " at " + t.UTC().Format(time.RFC3339)
}
