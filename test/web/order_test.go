package web

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"service-courier/internal/dev/citest"
)

// TestOrderSaysWhyItHasNoCourier: its position and the free couriers while it waits, who
// put it on hold and why, since when it is missing; and a missing order is cancelled by
// keyboard with a reason.
func TestOrderSaysWhyItHasNoCourier(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	missing, id := w.order(), w.order()
	b := w.open("/ui/orders/" + id)
	why := func(cause, text string) {
		t.Helper()
		b.sees(fmt.Sprintf(`document.querySelector('[data-cause=%s]') && document.querySelector('[data-cause]').textContent.includes(%q)`, cause, text))
	}
	b.sees(`document.querySelector('[data-cause=no_free_courier] dl')?.innerText.match(/Position[^\d]*[12]\b/)`)

	b.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + "/ui/orders/" + missing))
	why("no_free_courier", "until a courier is free")
	w.must(w.sim.Forget())
	w.post("/api/v1/orders/" + missing + "/recheck")
	why("missing", "does not have it")
	b.focus(".page-tools .danger")
	b.keys("Enter")
	b.sees(`document.querySelector('dialog[open] input') === document.activeElement`)
	b.keys("g", "o", "n", "e", "Enter")
	b.sees(`!document.querySelector('dialog') && document.querySelector('.step-cancelled') && document.querySelector('.timeline').textContent.includes('gone')`)
	if got := w.state(missing); got != "cancelled" {
		t.Errorf("the order is %s", got)
	}

	id = w.order()
	b.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + "/ui/orders/" + id))
	w.courier("Anna", "car")
	w.courier("Boris", "car")
	w.eventually("the order is assigned", func() bool { return w.state(id) == "assigned" })
	b.sees(`!document.querySelector('[data-cause]') && document.querySelector('.timeline').textContent.includes('With the courier')`)
	setMissing := func(since string) {
		t.Helper()
		_, err := w.pool.Exec(t.Context(), "UPDATE orders SET missing_since = "+since+" WHERE order_id = $1", id)
		w.must(err)
	}
	setMissing("now()")
	b.sees(`document.querySelector('.facts.tall').textContent.includes('courier keeps it and stays busy')`)
	setMissing("NULL")
	w.post("/api/v1/orders/" + id + "/unassign")
	why("held", "dispatcher")
	why("held", "unassigned by a dispatcher")
	setMissing("now()")
	b.do(chromedp.Reload())
	why("held_missing", "only when service-order has it again")
	b.sees(`!document.querySelector('[data-cause]').textContent.includes('position') && ![...document.querySelectorAll('.page-tools button')].some(x => x.textContent.includes('Release'))`)
	setMissing("NULL")
	b.do(chromedp.Reload())
	why("held", "unassigned by a dispatcher")

	b.focus(".page-tools .button:last-child")
	b.keys("Enter")
	b.sees(fmt.Sprintf(`[...document.querySelectorAll('dialog pre')].some(p => p.textContent === "curl -X POST -H 'Content-Type: application/json' -d '{}' '" + location.origin + "/api/v1/orders/%s/release'")`, id))
	b.focus("dialog header .button")
	b.keys("Enter")
	b.sees(`!document.querySelector('dialog')`)
}
