package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"service-courier/internal/cli/output"
)

// Status is the severity of a finding.
type Status string

// The statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn" // needs attention; the service works
	Fail Status = "FAIL" // the service does not work, or its data are wrong
)

// Finding is the result of one check.
type Finding struct {
	Check  string   `json:"check"`
	Status Status   `json:"status"`
	Detail string   `json:"detail"`
	More   []string `json:"more,omitempty"` // further lines
	Fix    string   `json:"fix,omitempty"`
}

func okay(check, detail string) Finding { return Finding{Check: check, Status: OK, Detail: detail} }

func warning(check, detail, fix string) Finding {
	return Finding{Check: check, Status: Warn, Detail: detail, Fix: fix}
}

func failure(check, detail, fix string) Finding {
	return Finding{Check: check, Status: Fail, Detail: detail, Fix: fix}
}

func (f Finding) with(more ...string) Finding {
	f.More = append(f.More, more...)
	return f
}

// Report is all findings in reading order.
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

// write prints the report: text, one JSON object, or one line per finding.
func (r Report) write(w output.Writer) error {
	switch w.Format {
	case output.JSON:
		document, err := json.Marshal(struct {
			OK       bool   `json:"ok"`
			Findings Report `json:"findings"`
		}{r.Count(Fail) == 0, r})
		if err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
		return w.Item(document, nil)
	case output.NDJSON:
		for _, f := range r {
			if err := w.Line(f); err != nil {
				return err
			}
		}
		return nil
	default:
		_, err := io.WriteString(w.Out, r.text())
		return err
	}
}

// text has a line per finding, with further lines and the fix below it.
func (r Report) text() string {
	width := 0
	for _, f := range r {
		width = max(width, len(f.Check))
	}
	indent := strings.Repeat(" ", len(Fail)+2+width+2)
	var b strings.Builder
	for _, f := range r {
		fmt.Fprintf(&b, "%-*s  %-*s  %s\n", len(Fail), f.Status, width, f.Check, oneLine(f.Detail))
		for _, line := range f.More {
			b.WriteString(indent + oneLine(line) + "\n")
		}
		if f.Fix != "" {
			b.WriteString(indent + "fix: " + oneLine(f.Fix) + "\n")
		}
	}
	fmt.Fprintf(&b, "%d checks: %d ok, %d warn, %d FAIL\n", len(r), r.Count(OK), r.Count(Warn), r.Count(Fail))
	return b.String()
}

// oneLine also escapes terminal control codes: errors quote text from outside.
func oneLine(s string) string { return output.Printable(strings.Join(strings.Fields(s), " ")) }
