package web

import (
	_ "embed" // for axe-core
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"service-courier/internal/config"
	"service-courier/internal/dev/citest"
)

// axe checks a page against WCAG.
//
//go:embed lib/axe.js
var axe string

// pages are the pages, each with an element that it shows once it has its data.
var pages = map[string]string{
	"/ui/":             ".columns",
	"/ui/couriers":     "main table, main .empty",
	"/ui/statistics":   ".totals",
	"/ui/events":       "main table, main .empty",
	"/ui/health":       ".chart canvas",
	"/ui/dead-letters": "main table, main .empty",
	"/ui/plain":        "#orders",
}

// accessible checks the page with axe-core, light and dark.
func (t *tab) accessible(path, state string) {
	t.Helper()
	if !eval[bool](t, "Boolean(window.axe)") {
		eval[any](t, axe+"; null")
	}
	for _, theme := range []string{"light", "dark"} {
		_, err := chromedp.Call(t.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		t.must(err)
		for _, v := range eval[[]string](t, `axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ') + ' ' + n.failureSummary).join('; ')))`) {
			t.Errorf("%s, %s, %s: %s", path, state, theme, v)
		}
	}
}

// TestEveryPageIsAccessible: no violation on any page, light and dark, empty and full, and
// no horizontal scrolling on a phone, a tablet and a large screen. There the buttons of wide tables
// are on the screen, too.
func TestEveryPageIsAccessible(t *testing.T) {
	citest.Only(t, "axe-core checks each page four times")
	w := newWorld(t)
	check := func(b *tab, path, shows, state string) {
		t.Helper()
		b.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + path))
		b.sees(fmt.Sprintf("document.querySelector(%q) && !document.querySelector('main .bone')", shows))
		b.accessible(path, state)
		for _, width := range []int64{360, 768, 1920} {
			b.do(chromedp.EmulateViewport(width, 900))
			if over := eval[float64](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
				t.Errorf("%s, %s: at %d px the page is %v px too wide", path, state, width, over)
			}
			if hidden := eval[float64](b, "[...document.querySelectorAll('.rows td > button.button')].filter(e => e.getBoundingClientRect().right > innerWidth).length"); hidden > 0 {
				t.Errorf("%s, %s: at %d px %v buttons are off the screen", path, state, width, hidden)
			}
		}
		b.do(chromedp.EmulateViewport(1440, 1000))
	}
	b := w.open("/ui/")
	b.tolerate = []string{"404"}
	for path, shows := range pages {
		check(b, path, shows, "empty")
	}
	id := w.order()
	courier := w.courier(strings.Repeat("Konstantin", 8), "car")
	w.courier("Boris", "scooter")
	w.order()
	w.must(w.sim.SetStatus(w.order(), "completed"))
	w.publish("{", `{"order_id":"///"}`)
	w.eventually("the order is assigned", func() bool { return w.state(id) == "assigned" })
	w.post("/api/v1/orders/" + id + "/unassign")
	for path, shows := range pages {
		check(b, path, shows, "full")
	}
	check(b, "/ui/orders/"+id, ".timeline", "held")
	check(b, "/ui/orders/unknown", "main .empty", "not found")
	check(b, fmt.Sprintf("/ui/couriers/%d", courier), ".facts", "full")
	check(b, "/ui/none", "main .empty", "no page")
}

// TestDeadLettersByKeyboard: edit and redrive one, and the record is processed.
func TestDeadLettersByKeyboard(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	id := w.order()
	w.publish(`{"order_id":` + id)
	b := w.open("/ui/dead-letters")
	b.focus("[data-row]")
	b.keys("Enter")
	b.sees(`document.querySelector('dialog pre')`)
	b.focus("dialog .chips button:last-child")
	b.keys("Enter")
	b.sees(`document.querySelector('dialog textarea')`)
	eval[any](b, fmt.Sprintf(`document.querySelector('dialog textarea').value = JSON.stringify({order_id: %q, status: 'created', created_at: '2026-01-01T00:00:00Z'})`, id))
	b.focus("dialog form .primary")
	b.keys("Enter")
	b.sees(`document.querySelector('dialog pre') && document.querySelector('dialog pre').textContent.includes('created_at')`)
	b.dialogSays("Before the edit: ", true) // the error is that of the payload as read
	b.focus("dialog footer .primary")
	b.keys("Enter")
	b.sees(`!document.querySelector('dialog') && document.querySelector('main .empty')`)
	var status string
	w.must(w.pool.QueryRow(w.Context(), "SELECT status FROM dead_letters").Scan(&status))
	if status != "redriven" {
		t.Errorf("the dead letter is %s", status)
	}
}

// TestEventsPage: records appear with what became of them, at an address of its own, where
// the rest of the API only reads.
func TestEventsPage(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t, func(c *config.Config) { c.EventsAddr = "127.0.0.1:0" })
	main := w.cfg.HTTPAddr
	w.cfg.HTTPAddr = w.service.EventsAddr()
	b := w.open("/")
	b.tolerate = []string{"405"}
	b.sees(`location.pathname === '/ui/events' && document.querySelector('main .empty')`)
	w.cfg.HTTPAddr = main
	id := w.order()
	b.sees(fmt.Sprintf(`document.querySelector('[data-outcome=applied] a[href$="%s"]')`, id))
	w.publish(fmt.Sprintf(`{"order_id":%q,"status":"created"}`, id), "{")
	b.sees(`document.querySelector('[data-outcome=duplicate]') && document.querySelector('[data-outcome=dead_letter]')`)
	b.focus("[data-outcome=dead_letter]")
	b.keys("Enter")
	b.sees(`document.querySelector('dialog pre').textContent === '{' && document.querySelector('dialog').textContent.includes('<b>1</b>')`)
	if got := eval[string](b, `fetch('/api/v1/couriers', {method: 'POST', body: '{}'}).then(r => r.json()).then(p => p.code)`); got != "method_not_allowed" {
		t.Errorf("registering a courier at the address of the events page: %s", got)
	}
	b.press("dialog header button")
	if got := eval[[]string](b, `[...document.querySelectorAll('nav li a')].map(a => a.textContent)`); !slices.Equal(got, []string{"Events", "Health"}) {
		t.Errorf("the menu has %v", got)
	}
	b.sees(`document.querySelector('.page-tools .primary[aria-disabled=false]')`) // publishing works here
	b.do(chromedp.Click(chromedp.CSS("[data-outcome=applied] .id")))
	b.sees(`document.querySelector('main .timeline') && [...document.querySelectorAll('.page-tools [aria-disabled]')].length > 1`)
	b.sees(`[...document.querySelectorAll('.page-tools [aria-disabled]')].every(x => x.getAttribute('aria-disabled') === 'true' && x.title.includes('for events only'))`)
}

// TestAssignmentEventsPage: the other topic of the page, at an address that can be linked, with
// what the service has published and without what concerns order events only.
func TestAssignmentEventsPage(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t, func(c *config.Config) { c.KafkaAssignmentTopic = assignmentTopic })
	b := w.open("/ui/events")
	id := w.order()
	b.sees(`document.querySelector('[data-outcome]')`)
	const other = "main .chips [aria-pressed=false]"
	b.focus(other)
	b.keys("Enter")
	const shows = "courier.assignment.changed"
	row := func(kind string) string {
		return fmt.Sprintf(`[...document.querySelectorAll('tr[data-row]')].find(r => r.cells[3].textContent === %q && r.querySelector('a[href="/ui/orders/%s"]'))`, kind, id)
	}
	b.sees(`location.search === '?topic=` + shows + `' && document.querySelector('main .mono').textContent === '` + shows + `' && ` + row("queued"))
	courier := w.courier("Anna", "car")
	b.sees(fmt.Sprintf(`%[1]s && Number(%[1]s.cells[5].textContent) > Number(%[2]s.cells[5].textContent) && %[1]s.querySelector('a[href="/ui/couriers/%[3]d"]')?.textContent === 'Anna'`, row("assigned"), row("queued"), courier))
	b.sees(`document.querySelectorAll('tr[data-row]')[0] === ` + row("assigned") + ` && !document.querySelector('[data-outcome], main .group, main .toolbar select, .page-tools .primary')`)
	b.do(chromedp.Reload())
	b.sees(row("assigned"))
	eval[any](b, row("assigned")+`.focus()`)
	b.keys("Enter")
	b.sees(fmt.Sprintf(`(p => p?.type === 'assigned' && p.order_id === %q && p.courier_id === %d)(JSON.parse(document.querySelector('dialog pre').textContent))`, id, courier))
	b.sees(`document.querySelector('dialog').textContent.includes('ce_typecourier.assignment.assigned')`)
	b.accessible("/ui/events", "an assignment event")
	for query, rows := range map[string]int{"&q=queued": 1, "&q=" + id: 2, "&q=other": 0, "&since=2001-01-01T00:00": 2, "&since=2998-01-01T00:00": 0, "&outcome=applied": 2} {
		b.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + "/ui/events?topic=" + shows + query))
		b.sees(fmt.Sprintf(`document.querySelector('main table, main .empty') && document.querySelectorAll('tr[data-row]').length === %d`, rows))
	}
	b.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + "/ui/events?topic=" + shows))
	b.sees(row("assigned"))
	b.focus(other)
	b.keys("Enter")
	b.sees(`!location.search.includes('topic') && document.querySelector('main .group') && document.querySelector('[data-outcome]')`)
}

// TestAssignmentEventsAreRefused: a topic that the service does not publish to, or may not read.
// The page names cause and remedy, and the order topic stays usable.
func TestAssignmentEventsAreRefused(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	w.order()
	b := w.open("/ui/events?topic=" + assignmentTopic)
	b.tolerate = []string{"422"}
	b.sees(`document.querySelector('main [role=alert]')?.textContent.includes('order.status.changed') && !document.querySelector('main .chips')`)
	b.do(chromedp.Navigate("about:blank"))
	w.stop()
	w.cfg.KafkaAssignmentTopic = assignmentTopic
	w.start()
	g := w.newGate()
	g.refuse = "records_forbidden"
	g.answer(http.StatusForbidden)
	b = w.open("/ui/events?topic=" + assignmentTopic)
	b.tolerate = []string{"403"}
	b.sees(`(a => a?.textContent.includes('READ') && !a.textContent.includes('role') && a.querySelector('a[href="/problems/records-forbidden"]'))(document.querySelector('main [role=alert]'))`)
	b.accessible("/ui/events", "no right to read")
	g.answer(0)
	b.focus("main .chips [aria-pressed=false]")
	b.keys("Enter")
	b.sees(`document.querySelector('[data-outcome]')`)
}
