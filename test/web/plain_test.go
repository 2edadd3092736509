package web

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"service-courier/internal/dev/citest"
)

// TestWithoutJavaScript: the browser signs in by a form and sees the board as a table, which
// changes nothing.
func TestWithoutJavaScript(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t, withTokens)
	w.courier("<b>Anna</b>", "car")
	assigned := w.order()
	w.eventually("the order is assigned", func() bool { return w.dbState(assigned) == "assigned" })
	waiting := w.order()
	w.eventually("the order waits", func() bool { return w.dbState(waiting) == "waiting" })

	b := w.open("/ui/plain")
	b.tolerate = []string{"401"}
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	w.must(err)
	b.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + "/ui/couriers"))
	b.sees(`location.pathname === '/ui/plain' && document.querySelector('input[type=password]')`)
	b.focus("input[type=password]")
	b.keys("x", "Enter")
	b.sees(`document.querySelector('[role=alert]')`)
	b.focus("input[type=password]")
	b.keys(append(strings.Split(readToken, ""), "Enter")...)
	for id, state := range map[string]string{assigned: "assigned", waiting: "waiting"} {
		b.sees(fmt.Sprintf(`document.querySelector('tbody[data-state=%s] [data-order="%s"]')`, state, id))
	}
	b.sees(`document.querySelector('#orders').textContent.includes('<b>Anna</b>') && document.documentElement.lang === 'en'`)
	b.do(chromedp.Click(chromedp.CSS(".page-tools a[lang=ru]")))
	b.sees(`document.documentElement.lang === 'ru' && document.querySelector('h1')?.textContent === 'Доска'`)
	b.do(chromedp.Click(chromedp.CSS(".page-tools form button")))
	b.sees(`document.querySelector('input[type=password]')`)
}

// dbState is the state of an order in the database.
func (w *world) dbState(id string) (state string) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), "SELECT coalesce((SELECT state::text FROM orders WHERE order_id = $1), '')", id).Scan(&state))
	return state
}
