package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"service-courier/internal/config"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/pgtest"
)

// TestBoardFollowsEvents: an event moves the card without a reload, until the order has
// ended.
func TestBoardFollowsEvents(t *testing.T) {
	w := newWorld(t)
	b := w.open("/")
	b.sees(`location.pathname === '/ui/' && document.querySelector('[data-conn=live]')`)
	id := w.order()
	b.card(id, "waiting")
	courier := w.courier("Anna", "car")
	b.card(id, "assigned")
	b.sees(fmt.Sprintf(`document.querySelector('[data-courier="%d"][data-status=busy]')`, courier))
	w.must(w.sim.SetStatus(id, "completed"))
	b.sees(fmt.Sprintf(`!document.querySelector('[data-order="%[1]s"]') && document.querySelector('.ended a[href$="%[1]s"]')`, id))
	if eval[float64](b, "performance.getEntriesByType('navigation').length") != 1 {
		t.Error("the page was loaded again")
	}
}

// TestActionsByKeyboard: assign, unassign, release, recheck and pause without a mouse.
func TestActionsByKeyboard(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	b := w.open("/ui/")
	id := w.order()
	b.card(id, "waiting")
	courier := w.courier("Boris", "scooter")
	b.card(id, "assigned")
	b.sees(`document.querySelector('[data-status=busy]')`)

	b.keys("j", "u")
	b.sees(`document.querySelector('dialog[open] input') === document.activeElement`)
	b.keys("r", "a", "i", "n", "Enter")
	b.card(id, "held")
	b.sees(`!document.querySelector('dialog') && document.querySelector('.column-held').textContent.includes('rain')`)

	b.focus(fmt.Sprintf(`[data-order="%s"]`, id))
	b.keys("a")
	b.sees(`document.activeElement.closest('dialog[open]')`)
	b.keys("Enter")
	b.card(id, "assigned")

	b.sees(`!document.querySelector('dialog')`)
	b.focus(fmt.Sprintf(`[data-order="%s"]`, id))
	b.keys("u")
	b.sees(`document.activeElement.closest('dialog[open]')`)
	b.keys("Enter")
	b.card(id, "held")
	b.sees(fmt.Sprintf(`document.querySelector('[data-courier="%d"][data-status=available]')`, courier))
	b.focus(fmt.Sprintf(`[data-courier="%d"] button`, courier))
	b.keys("Enter")
	b.sees(fmt.Sprintf(`document.querySelector('[data-courier="%d"][data-status=paused]')`, courier))
	b.focus(fmt.Sprintf(`[data-order="%s"]`, id))
	b.keys("r")
	b.card(id, "waiting")
	if got := w.state(id); got != "waiting" {
		t.Errorf("the order is %s", got)
	}
}

// TestReconnect: while the server is away the page says so and permits no action; after it,
// the board equals the API.
func TestReconnect(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	b := w.open("/ui/")
	b.tolerate = []string{"net::ERR", "Failed to load resource", "503"}
	first := w.order()
	b.card(first, "waiting")
	w.stop()
	b.sees(`document.querySelector('main [data-conn=stale]') && document.querySelector('[data-order] button[aria-disabled=true]')`)
	second := w.order()
	w.must(w.sim.Delete(first))
	w.start()
	b.sees(`document.querySelector('[data-conn=live]') && !document.querySelector('main [data-conn=stale]')`)
	b.card(second, "waiting")
	b.sees(fmt.Sprintf(`!document.querySelector('[data-order="%s"]')`, first))
	b.sees(`!document.querySelector('[data-order] button[aria-disabled=true]')`)
	var api struct {
		Items []struct {
			OrderID string `json:"order_id"`
		}
	}
	w.get("/api/v1/orders?state=waiting", &api)
	cards := eval[[]string](b, `[...document.querySelectorAll('.column-waiting [data-order]')].map(c => c.dataset.order)`)
	if len(api.Items) != 1 || !slices.Equal(cards, []string{api.Items[0].OrderID}) {
		t.Errorf("the board shows %v, the API lists %v", cards, api.Items)
	}
}

// TestBoardWithoutDatabase: the server answers, but nothing that it streams is new. The page
// says so and permits no action until then.
func TestBoardWithoutDatabase(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	first := w.order()
	b := w.open("/ui/")
	b.tolerate = []string{"Failed to load resource", "503"}
	b.card(first, "waiting")
	b.sees(`document.querySelector('[data-conn=live]')`)
	resume := pgtest.Interrupt(t, w.cfg.DatabaseURL)
	b.sees(`document.querySelector('main [data-conn=stale]') && document.querySelector('[data-order] button[aria-disabled=true]')`)
	b.sees(`!document.querySelector('[data-conn=live], [data-order] button[aria-disabled=false]')`)
	second := w.order()
	resume()
	b.card(second, "waiting")
	b.sees(`document.querySelector('[data-conn=live]') && !document.querySelector('main [data-conn=stale]')`)
	b.sees(`!document.querySelector('[data-order] button[aria-disabled=true]')`)
}

const (
	readToken    = "read-read-read-read-read-read"
	operateToken = "operate-operate-operate-operate"
)

func withTokens(c *config.Config) {
	c.APITokens = "viewer:read:" + readToken + ",lead:operate:" + operateToken
}

// TestReadTokenCannotWrite: the page signs in with a token; a read token sees the board
// with disabled actions, and the server refuses what a page sends all the same.
func TestReadTokenCannotWrite(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t, withTokens)
	b := w.open("/ui/")
	b.tolerate = []string{"401", "403"}
	b.sees(`document.querySelector('input[type=password]')`)
	b.focus(`input[type=password]`)
	b.keys("w", "r", "o", "n", "g", "Enter")
	b.sees(`document.querySelector('[role=alert]')`)
	eval[any](b, `document.querySelector('input[type=password]').select()`)
	b.keys(append(strings.Split(readToken, ""), "Enter")...)
	id := w.order()
	b.card(id, "waiting")
	b.sees(`[...document.querySelectorAll('[data-order] button')].every(b => b.getAttribute('aria-disabled') === 'true' && b.title.includes('operate'))`)
	if eval[string](b, "document.cookie") != "" {
		t.Error("the page can read the cookie")
	}
	got := eval[float64](b, fmt.Sprintf(`fetch('/api/v1/orders/%s/assign', {method: 'POST'}).then(r => r.status)`, id))
	if got != http.StatusForbidden {
		t.Errorf("a write of a read token: %v", got)
	}
	b.do(chromedp.Click(chromedp.CSS(".me button")))
	b.sees(`document.querySelector('input[type=password]')`)
}

// TestTwoBrowsersOneOrder: both open the dialog, one assigns, and the other is shown what
// happened, also when it assigns before it knows.
func TestTwoBrowsersOneOrder(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	id := w.order()
	one, other := w.open("/ui/"), w.open("/ui/")
	other.tolerate = []string{"409", "Synchronous XMLHttpRequest"}
	for _, b := range []*tab{one, other} {
		b.card(id, "waiting")
	}
	anna, boris := w.courier("Anna", "car"), w.courier("Boris", "car")
	one.card(id, "assigned") // matching was first
	w.post("/api/v1/orders/" + id + "/unassign")
	choose := func(b *tab) {
		b.card(id, "held")
		b.sees(fmt.Sprintf(`document.querySelector('[data-courier="%d"][data-status=available]') && document.querySelector('[data-courier="%d"][data-status=available]')`, anna, boris))
		b.do(chromedp.Click(chromedp.CSS(fmt.Sprintf(`[data-order="%s"] .actions button:last-child`, id))))
		b.sees(`document.querySelectorAll('dialog[open] .choice').length === 2`)
	}
	choose(one)
	choose(other)
	one.do(chromedp.Click(chromedp.CSS(`dialog .choices li:first-child button`)))
	one.card(id, "assigned")
	other.sees(`document.querySelector('dialog[open] .state-assigned') && !document.querySelector('dialog[open] .choice')`)
	other.do(chromedp.Click(chromedp.CSS("dialog footer button")))
	w.post("/api/v1/orders/" + id + "/unassign")
	choose(other)
	eval[any](other, fmt.Sprintf(`(() => { // no change arrives meanwhile
		const choice = document.querySelector('dialog .choices li:last-child button'), first = new XMLHttpRequest()
		first.open('POST', '/api/v1/orders/%s/assign', false)
		first.setRequestHeader('Content-Type', 'application/json')
		first.send('{"courier_id": %d}')
		choice.click()
	})()`, id, anna))
	other.sees(`document.querySelector('.toast.failed')`)
	other.card(id, "assigned")
	other.sees(fmt.Sprintf(`document.querySelector('[data-order="%s"] .card-note')`, id))
}

// TestHostileTextsStayText: names and ids with markup are shown as they are.
func TestHostileTextsStayText(t *testing.T) {
	w := newWorld(t)
	const name = `<img src=x onerror=alert(1)>"'&amp;`
	w.courier(name, "on_foot")
	id := w.order()
	b := w.open("/ui/")
	b.card(id, "assigned")
	b.sees(`document.querySelector('.people').textContent.includes(` + fmt.Sprintf("%q", name) + `)`)
	b.sees(`document.querySelector('.column-assigned').textContent.includes(` + fmt.Sprintf("%q", name) + `)`)
	if eval[bool](b, `Boolean(document.querySelector('main img, main script'))`) {
		t.Error("the name became an element")
	}
}

// TestFilters: the address keeps the search and the filter.
func TestFilters(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	first, second := w.order(), w.order()
	b := w.open("/ui/")
	b.card(first, "waiting")
	b.card(second, "waiting")
	b.keys("/")
	b.keys(strings.Split(first[:9], "")...)
	b.sees(fmt.Sprintf(`!document.querySelector('[data-order="%s"]') && location.search === '?q=%s'`, second, first[:9]))
	b.do(chromedp.Reload())
	b.card(first, "waiting")
	b.sees(fmt.Sprintf(`!document.querySelector('[data-order="%s"]')`, second))
	b.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + "/ui/?show=missing"))
	b.sees(`document.querySelector('.column-waiting .empty')`)
}

func (w *world) post(path string) {
	w.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(w.Context()), http.MethodPost, "http://"+w.cfg.HTTPAddr+path, strings.NewReader("{}"))
	w.must(err)
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(r)
	w.must(err)
	_ = response.Body.Close()
	if response.StatusCode >= 300 {
		w.Fatalf("%s: %s", path, response.Status)
	}
}

// TestDialogOfAChangedOrder: a dialog says that its order has another state now, and no
// longer offers what would fail.
func TestDialogOfAChangedOrder(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	w.courier("Anna", "car")
	b := w.open("/ui/")
	id := w.order()
	b.card(id, "assigned")
	b.keys("j", "u")
	b.sees(`document.querySelector('dialog[open] input')`)
	w.must(w.sim.SetStatus(id, "completed"))
	b.sees(`document.querySelector('dialog[open] .state-completed') && !document.querySelector('dialog[open] input')`)
}

// TestMissingOrderIsCancelled: the board offers to cancel an order that service-order does
// not have, not to assign it, which would be refused.
func TestMissingOrderIsCancelled(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	id := w.order()
	w.eventually("the order waits", func() bool {
		var n int
		w.must(w.pool.QueryRow(t.Context(), "SELECT count(*) FROM orders WHERE state = 'waiting'").Scan(&n))
		return n == 1
	})
	w.must(w.sim.Forget())
	_, err := w.pool.Exec(t.Context(), "UPDATE orders SET missing_since = now()")
	w.must(err)
	b := w.open("/ui/")
	b.card(id, "waiting")
	card := fmt.Sprintf(`[data-order="%s"]`, id)
	b.sees(fmt.Sprintf(`document.querySelector('%s.missing') && !document.querySelector('%[1]s [aria-label="Assign"]')`, card))
	b.focus(card + ` [aria-label="Cancel the order"]`)
	b.keys("Enter")
	b.sees(`document.querySelector('dialog[open] input') === document.activeElement`)
	b.keys("Enter")
	b.sees(fmt.Sprintf(`!document.querySelector('%s') && document.querySelector('.ended .state-cancelled')`, card))
	b2 := w.open("/ui/health")
	b2.sees(`[...document.querySelectorAll('.component')].some(c => c.innerText.includes('Missing orders') && c.querySelector('.state-ok'))`)
}
