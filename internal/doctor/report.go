// Package doctor is the form of a diagnosis: findings, each with its status and
// how to mend it, as lines for a person or as JSON for a program. It asks
// nothing and knows nothing of what was examined.
package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// Status is how serious a finding is.
type Status string

// The statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn" // somebody should know; the service does its work
	Fail Status = "FAIL" // the service cannot do its work, or has not done it right
)

// Finding is what one check found.
type Finding struct {
	Check  string   `json:"check"`
	Status Status   `json:"status"`
	Detail string   `json:"detail"`
	More   []string `json:"more,omitempty"` // a line each
	Mend   string   `json:"mend,omitempty"` // what to do about it
}

// Okay returns a finding without a problem.
func Okay(check, detail string) Finding { return Finding{Check: check, Status: OK, Detail: detail} }

// Warning returns a finding that somebody should know of.
func Warning(check, detail, mend string) Finding {
	return Finding{Check: check, Status: Warn, Detail: detail, Mend: mend}
}

// Failure returns a finding that must be mended.
func Failure(check, detail, mend string) Finding {
	return Finding{Check: check, Status: Fail, Detail: detail, Mend: mend}
}

// With returns the finding with lines below it.
func (f Finding) With(more ...string) Finding {
	f.More = append(f.More, more...)
	return f
}

// Report is all that was found, in the order to read it.
type Report []Finding

// Count counts the findings with a status.
func (r Report) Count(s Status) int {
	n := 0
	for _, f := range r {
		if f.Status == s {
			n++
		}
	}
	return n
}

// WriteJSON writes the report as one JSON object.
func (r Report) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(struct {
		OK       bool   `json:"ok"`
		Findings Report `json:"findings"`
	}{r.Count(Fail) == 0, r})
}

// WriteLines writes a JSON object a finding, on a line of its own.
func (r Report) WriteLines(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, f := range r {
		if err := out.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// WriteText writes a line a finding, and below it what belongs to it.
func (r Report) WriteText(w io.Writer) error {
	width := 0
	for _, f := range r {
		width = max(width, len(f.Check))
	}
	below := strings.Repeat(" ", len(Fail)+2+width+2)
	var b strings.Builder
	for _, f := range r {
		fmt.Fprintf(&b, "%-*s  %-*s  %s\n", len(Fail), f.Status, width, f.Check, plain(f.Detail))
		for _, line := range f.More {
			b.WriteString(below + plain(line) + "\n")
		}
		if f.Mend != "" {
			b.WriteString(below + "mend: " + plain(f.Mend) + "\n")
		}
	}
	fmt.Fprintf(&b, "%d checks: %d ok, %d warn, %d FAIL\n", len(r), r.Count(OK), r.Count(Warn), r.Count(Fail))
	_, err := io.WriteString(w, b.String())
	return err
}

// plain keeps a text on its line and a terminal's own codes out of it: errors
// quote what others sent.
func plain(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	text := strconv.Quote(s)
	return text[1 : len(text)-1]
}
