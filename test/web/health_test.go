package web

import (
	"testing"

	"github.com/chromedp/chromedp"

	"service-courier/internal/dev/citest"
)

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
