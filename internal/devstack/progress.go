package devstack

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const (
	barWidth    = 30
	barInterval = 100 * time.Millisecond
)

// progress counts what is written to it and shows that: on a terminal a bar in
// place, elsewhere a line at the start and at each quarter.
type progress struct {
	out      io.Writer
	terminal bool
	label    string
	total    int64 // bytes; less than 1: unknown
	done     int64
	shown    time.Time
	quarter  int64
}

func newProgress(out io.Writer, label string, total int64) *progress {
	if out == nil {
		out = io.Discard
	}
	file, isFile := out.(*os.File)
	p := &progress{out: out, label: label, total: total, terminal: isFile && term.IsTerminal(int(file.Fd()))}
	if !p.terminal {
		p.line("%s (%s)", label, megabytes(total))
	}
	return p
}

func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	switch {
	case p.terminal && time.Since(p.shown) >= barInterval:
		p.shown = time.Now()
		p.draw()
	case !p.terminal && p.total > 0 && p.done*4/p.total > p.quarter:
		p.quarter = p.done * 4 / p.total
		p.line("%s: %d%%", p.label, p.done*100/p.total)
	}
	return len(b), nil
}

// finish leaves the bar's line: complete, or as far as it came.
func (p *progress) finish(err error) {
	if !p.terminal {
		return
	}
	if err == nil && p.total > 0 {
		p.done = p.total
	}
	p.draw()
	p.line("")
}

func (p *progress) draw() {
	if p.total < 1 {
		p.print("\r%s  %s", p.label, megabytes(p.done))
		return
	}
	filled := int(min(p.done, p.total) * barWidth / p.total)
	p.print("\r%s [%s%s] %3d%% of %s", p.label,
		strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), p.done*100/p.total, megabytes(p.total))
}

// print ignores errors: a fetch does not fail for a terminal that went away.
func (p *progress) print(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format, args...) }

func (p *progress) line(format string, args ...any) { p.print(format+"\n", args...) }

func megabytes(n int64) string {
	if n < 0 {
		return "size unknown"
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
