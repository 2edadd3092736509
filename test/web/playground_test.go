package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"service-courier/internal/app/devmode"
	"service-courier/internal/config"
	"service-courier/internal/dev/citest"
)

// newDev runs `dev` without generated orders. Its banner names the board first.
func newDev(t *testing.T) *world {
	t.Helper()
	if chromium == nil {
		t.Skip("no Chromium on this machine")
	}
	w, out := &world{T: t}, new(output)
	cfg := devmode.Config{
		Quiet: true, PGBinDir: os.Getenv("PG_BIN_DIR"), EventsAddr: "127.0.0.1:0", HTTPPort: freePort(t), OrderPort: freePort(t), KafkaPort: freePort(t),
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- devmode.Run(ctx, cfg, out, out) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil || t.Failed() {
			t.Errorf("dev ended with %v:\n%s", err, out)
		}
	})
	first := regexp.MustCompile(`service-courier dev\n\n +board +http://(\S+)/ui/ `)
	w.eventually("the banner is shown", func() bool { return first.MatchString(out.String()) })
	w.cfg = config.Config{HTTPAddr: first.FindStringSubmatch(out.String())[1]}
	return w
}

// output collects what dev prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// play runs an action of the Playground.
func (t *tab) play(name string) {
	t.Helper()
	t.focus(fmt.Sprintf(`[data-play="%s"] footer button[aria-disabled=false]`, name))
	t.keys("Enter")
}

// healthy waits until a check of at least so many orders has found nothing behind, lost or
// double.
func (t *tab) healthy(orders int) {
	t.Helper()
	t.sees(fmt.Sprintf(`document.querySelector('.verdict.good[data-lost="0"][data-double="0"][data-behind="0"]')?.dataset.checked >= %d`, orders))
}

const (
	isOpen   = `document.querySelector('[data-fact=breaker] .state-failing')`
	isClosed = `document.querySelector('[data-fact=breaker] .state-ok')`
	isDown   = `document.querySelector('[data-fact=postgresql] .state-failing')`
	isUp     = `document.querySelector('[data-fact=postgresql] .state-ok')`
)

// TestPlayground: by keyboard alone, each fault is caused and shown, and the service
// recovers with nothing lost and nothing double.
func TestPlayground(t *testing.T) {
	citest.Only(t, "it waits for outages of several seconds")
	w := newDev(t)
	b := w.open("/ui/")
	b.tolerate = []string{"503", "500", "404"} // while a dependency is stopped, or the order is deleted
	b.sees(`document.querySelector('[data-conn=live]') && document.querySelector('nav a[href="/ui/playground"]')`)
	b.keys("g", "p")
	b.sees(`location.pathname === '/ui/playground'`)
	b.healthy(0)

	board := w.open("/ui/")
	board.tolerate = b.tolerate
	b.play("create.many")
	board.sees(`document.querySelectorAll('.column-assigned [data-order]').length === 10 && document.querySelectorAll('.column-waiting [data-order]').length === 40`)
	b.healthy(50)

	b.play("outage")
	b.sees(`document.querySelector('[data-play=outage] footer button[aria-disabled=true]')`)
	b.sees(isOpen)
	b.sees(isClosed)
	b.healthy(70)

	b.play("database")
	b.sees(isDown)
	b.sees(isUp)
	b.play("create.one")
	b.healthy(71)

	b.play("replay")
	b.play("malformed")
	board.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + "/ui/dead-letters"))
	board.sees(`document.querySelectorAll('main [data-row]').length === 1`)
	b.healthy(71)

	order := eval[string](b, `document.querySelector('main tr[data-row]').dataset.row`)
	row := fmt.Sprintf(`main tr[data-row="%s"]`, order)
	b.focus(row + " button")
	b.keys("Enter")
	b.sees(`document.querySelector('dialog[open] .choice') === document.activeElement`)
	b.focus(`dialog li:nth-last-child(2) button`)
	b.keys("Enter")
	b.sees(fmt.Sprintf(`document.querySelector('%s[data-status=delivered]')`, row))
	w.eventually("the order is completed", func() bool { return w.state(order) == "completed" })
	b.focus(row + " button.danger")
	b.keys("Enter")
	b.sees(fmt.Sprintf(`document.querySelector('%s[data-status=deleted]')`, row))
	w.eventually("the order is cancelled", func() bool { return w.state(order) == "cancelled" })

	b.play("forget")
	b.sees(`document.querySelector('[data-fact=missing] .state-failing') && document.querySelector('main [data-play]') && !document.querySelector('main tr[data-row]')`)
	b.play("cancel.missing")
	b.sees(`document.querySelector('[data-fact=missing] .state-ok')`)
	b.healthy(0)
	b.accessible("/ui/playground", "full")
	for _, width := range []int64{360, 768, 1920} {
		b.do(chromedp.EmulateViewport(width, 900))
		if over := eval[float64](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
			t.Errorf("at %d px the page is %v px too wide", width, over)
		}
	}
}

// TestNoPlaygroundInServe: serve has neither the page nor its API.
func TestNoPlaygroundInServe(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	b := w.open("/ui/playground")
	b.tolerate = []string{"404"}
	b.sees(`document.querySelector('main .empty') && !document.querySelector('nav a[href="/ui/playground"]')`)
	for _, call := range []string{`fetch('/dev/v1/state')`, `fetch('/dev/v1/postgresql/stop', {method: 'POST'})`, `fetch('/dev/v1/order-service/forget', {method: 'POST'})`} {
		if got := eval[float64](b, call+`.then(r => r.status)`); got != http.StatusNotFound {
			t.Errorf("%s: %v", call, got)
		}
	}
}
