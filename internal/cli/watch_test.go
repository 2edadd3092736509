package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"service-courier/internal/cli/output"
)

// answering returns the URL of a server that gives these answers, one after the other, then
// calls done. Each is a page of items, or a status.
func answering(t *testing.T, done func(), answers ...string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if len(answers) == 0 {
			done()
			return
		}
		answer := answers[0]
		answers = answers[1:]
		if status, bad := strings.CutPrefix(answer, "!"); bad {
			code, err := strconv.Atoi(status)
			if err != nil {
				t.Error(err)
			}
			w.WriteHeader(code)
			return
		}
		fmt.Fprintf(w, `{"items":[%s]}`, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func connect(t *testing.T, url string, out output.Writer, notes *bytes.Buffer) *Server {
	t.Helper()
	t.Chdir(t.TempDir()) // no .env
	s, err := Connect(url, out, notes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func often() Watch { return Watch{On: true, Interval: MinInterval} }

// TestWatchGoesOn: an outage does not end a watch that has begun; a wrong token does.
func TestWatchGoesOn(t *testing.T) {
	for last, want := range map[string]int{"done": ExitOK, "!401": ExitPrecondition} {
		ctx, cancel := context.WithCancel(t.Context())
		answers := []string{`{"order_id":"a"}`, "!503", "", `{"order_id":"b"}`}
		if last != "done" {
			answers = append(answers, last)
		}
		var out, notes bytes.Buffer
		s := connect(t, answering(t, cancel, answers...), output.Writer{Out: &out, Format: output.NDJSON}, &notes)
		err := s.ListOrders(ctx, "", false, 9, often())
		if code := ExitCode(err); code != want || out.String() != "{\"order_id\":\"a\"}\n{\"order_id\":\"b\"}\n" {
			t.Errorf("%s: %v, printed %q", last, err, &out)
		}
		if text := notes.String(); strings.Count(text, "503") != 1 || strings.Count(text, "no active orders") != 1 {
			t.Errorf("%s: notes %q", last, text)
		}
		cancel()
	}
}

func TestWatchEndsWithTheFirstError(t *testing.T) {
	var out, notes bytes.Buffer
	s := connect(t, answering(t, t.FailNow, "!503"), output.Writer{Out: &out, Format: output.Table}, &notes)
	if err := s.ListCouriers(t.Context(), "", "", 9, often()); ExitCode(err) != ExitPrecondition {
		t.Errorf("%v", err)
	}
	var usage UsageError
	s.out.Format = output.JSON
	if err := s.ListCouriers(t.Context(), "", "", 9, often()); !errors.As(err, &usage) {
		t.Errorf("-o json: %v", err)
	}
}

// TestWatchRedrawsTerminal: a list that is longer than the terminal begins with its first
// items, and a shorter one leaves nothing of it.
func TestWatchRedrawsTerminal(t *testing.T) {
	keyboard, terminal := newTerminal(t)
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 6, Col: 80}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	items := make([]string, 9)
	for i := range items {
		items[i] = fmt.Sprintf(`{"order_id":"order-%d"}`, i)
	}
	var notes bytes.Buffer
	s := connect(t, answering(t, cancel, strings.Join(items, ","), ""), output.Writer{Out: terminal, Format: output.Table}, &notes)
	watched := make(chan error, 1)
	go func() { watched <- s.ListOrders(ctx, "", false, 0, often()) }()

	screen := bufio.NewReader(keyboard)
	read := func(until string) (text string) {
		for !strings.Contains(text, until) {
			line, err := screen.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			text += line
		}
		return text
	}
	if page := read("more lines"); strings.Contains(page, "order-3") || !strings.Contains(page, "order-1") || strings.Count(page, "\n") != 5 || !strings.Contains(page, "7 more lines") {
		t.Errorf("%q", page)
	}
	if page := read("no active orders"); !strings.HasPrefix(page, clearBelow+wrapOn+wrapOff+toTop) {
		t.Errorf("%q", page)
	}
	select {
	case err := <-watched:
		if err != nil || notes.Len() > 0 {
			t.Errorf("%v, notes %q", err, &notes)
		}
	case <-time.After(time.Minute):
		t.Error("it did not end")
	}
}

func TestStatisticsSayTheirDays(t *testing.T) {
	for name, want := range map[string]string{
		"UTC":           "deliveries completed from 2026-01-02 to 2026-01-03, days in UTC",
		"Europe/Moscow": "deliveries completed from 2026-01-02 to 2026-01-03, days in UTC (from 03:00 MSK)",
	} {
		local, err := time.LoadLocation(name)
		if err != nil {
			t.Skip(err)
		}
		if got := statisticsPeriod("2026-01-02", "2026-01-03", local); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestStatisticsOfCouriers: one request has the names, the figures and the days.
func TestStatisticsOfCouriers(t *testing.T) {
	var out, notes bytes.Buffer
	server := answering(t, func() { t.Error("a second request") }, `{"courier_id":7,"courier_name":"Anna","from":"2026-01-02","to":"2026-01-03","deliveries":1}`)
	s := connect(t, server, output.Writer{Out: &out, Format: output.Table}, &notes)
	if err := s.Statistics(t.Context(), StatisticsQuery{EachCourier: true}); err != nil || !strings.Contains(out.String(), "7        Anna  1") ||
		!strings.Contains(notes.String(), "from 2026-01-02 to 2026-01-03") {
		t.Errorf("%v, notes %q, printed\n%s", err, &notes, &out)
	}
}
