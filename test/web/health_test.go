package web

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/ordersim"
)

// TestPagesSayWhyNoOrderArrives: while service-order or Kafka is unavailable the board is live, but
// no new order arrives. It says so and links to Health, until that has ended.
func TestPagesSayWhyNoOrderArrives(t *testing.T) {
	citest.Only(t, "the pages check the service every 10 s")
	w := newWorld(t)
	b := w.open("/ui/")
	b.tolerate = []string{"503"}
	b.sees(`document.querySelector('.columns') && document.querySelector('[data-conn=live]') && !document.querySelector('main .outage')`)
	w.sim.SetFaults(ordersim.Faults{Fail: time.Hour})
	const says = `document.querySelector('[data-conn=live]') && document.querySelector('main .outage a[href="/ui/health"]') && document.querySelector('.outage span').textContent`
	b.sees(says + `.startsWith('New orders are not processed: service-order answers with an error')`)
	b.accessible("/ui/", "service-order unavailable")
	w.sim.SetFaults(ordersim.Faults{})
	b.sees(`!document.querySelector('main .outage')`)
	w.must(w.kafka.Stop(context.WithoutCancel(t.Context())))
	b.sees(says + ` === 'New orders are not processed: Kafka refuses connections. Health'`)
	b.do(chromedp.Click(chromedp.CSS(".outage a")))
	b.sees(`location.pathname === '/ui/health' && document.querySelector('.components .state-failing') && !document.querySelector('main .outage')`)
}

// TestHealthSaysWhatWaitsForAnOperator: pending dead letters, and that service-order lost its state.
func TestHealthSaysWhatWaitsForAnOperator(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	b := w.open("/ui/health")
	component := func(title, text string) {
		t.Helper()
		b.sees(fmt.Sprintf(`[...document.querySelectorAll('.component')].some(c => c.querySelector('h2').textContent === %q && c.textContent.includes(%q))`, title, text))
	}
	component("Dead letters", "No dead letters")
	component("Missing orders", "service-order has every active order")
	w.publish("{")
	component("Dead letters", "show them")
	w.order()
	w.eventually("the order waits", func() bool { return len(w.active("waiting")) == 1 })
	_, err := w.pool.Exec(t.Context(), "UPDATE orders SET missing_since = now()")
	w.must(err)
	component("Missing orders", "answers 404: show them")
	_, err = w.pool.Exec(t.Context(), "INSERT INTO state_lost (most_missing_at) VALUES (now())")
	w.must(err)
	component("Missing orders", "service-order lost its state")
}

// TestHealthCharts: the figures of the last minutes are drawn and follow the service; just
// after its start, and when they cannot be read, the page says so.
func TestHealthCharts(t *testing.T) {
	citest.Only(t, "the service takes a sample every 5 s")
	w := newWorld(t)
	b := w.open("/ui/")
	b.tolerate = []string{"503"}
	b.sees(`document.querySelector('.columns')`)
	eval[any](b, `{
		const real = window.fetch
		window.answer = () => new Response('{"samples":[]}', {headers: {'Content-Type': 'application/json'}})
		window.fetch = (path, ...rest) => path === '/api/v1/health/history' && window.answer ? Promise.resolve(window.answer()) : real(path, ...rest)
		null
	}`)
	b.do(chromedp.Click(chromedp.CSS(`nav a[href="/ui/health"]`)))
	b.sees(`document.querySelector('.components') && document.querySelector('main .empty') && document.querySelector('main').textContent.includes('after 5 seconds')`)
	eval[any](b, `window.answer = () => new Response('{"code":"overloaded"}', {status: 503, headers: {'Content-Type': 'application/problem+json'}}); null`)
	b.sees(`document.querySelector('.note.warn')`)
	w.courier("Anna", "car")
	w.order()
	eval[any](b, `window.answer = null`)
	b.sees(`document.querySelectorAll('.chart canvas').length === 5 && !document.querySelector('.note.warn')`)
	w.order()
	b.sees(`[...document.querySelectorAll('.figure')].some(f => f.textContent.includes('Waiting') && f.querySelector('b').textContent === '1')`)
}
