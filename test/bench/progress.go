package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress is one line on standard error that moves; where nobody watches, a
// line every few seconds.
type progress struct {
	terminal bool
	last     time.Time
}

func newProgress() *progress {
	return &progress{terminal: term.IsTerminal(int(os.Stderr.Fd()))}
}

// step says what begins.
func (p *progress) step(what string) {
	p.last = time.Now()
	p.print(what)
}

// at says how far something is, now and then.
func (p *progress) at(what string, done, total int) {
	every := 3 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	const width = 30
	full := min(width*done/total, width)
	p.print(fmt.Sprintf("%-10s [%s%s] %d of %d", what, strings.Repeat("#", full), strings.Repeat(".", width-full), done, total))
}

func (p *progress) print(text string) {
	if p.terminal {
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(os.Stderr, text)
}

// end takes the moving line away.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
