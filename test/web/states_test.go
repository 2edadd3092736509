package web

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// gate is between the browser and the service: it passes the API's requests on, holds them
// back, or answers them itself.
type gate struct {
	*httptest.Server
	mu      sync.Mutex
	status  int           // 0: pass on
	held    chan struct{} // closed when requests are no longer held; nil: they are not
	service http.Handler
}

// newGate sends the browser through a gate.
func (w *world) newGate() *gate {
	target := &url.URL{Scheme: "http", Host: w.cfg.HTTPAddr}
	g := &gate{service: &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}, ErrorHandler: func(http.ResponseWriter, *http.Request, error) {}}}
	g.Server = httptest.NewServer(g)
	w.Cleanup(func() {
		g.answer(0)
		g.CloseClientConnections()
		g.Close()
	})
	w.cfg.HTTPAddr = strings.TrimPrefix(g.URL, "http://")
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	held := g.held
	g.mu.Unlock()
	guarded := strings.HasPrefix(r.URL.Path, "/api/v1/") && r.URL.Path != "/api/v1/session"
	if guarded && held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return
		}
	}
	g.mu.Lock()
	status := g.status
	g.mu.Unlock()
	if !guarded || status == 0 {
		g.service.ServeHTTP(w, r)
		return
	}
	code := map[int]string{http.StatusForbidden: "forbidden", http.StatusServiceUnavailable: "storage_unavailable"}[status]
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"title":"forced","status":%d,"code":%q}`, status, code)
}

// hold holds requests until the next answer.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = make(chan struct{})
}

// answer answers requests with a status; 0 passes them on.
func (g *gate) answer(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status = status
	if g.held != nil {
		close(g.held)
		g.held = nil
	}
}

// TestEveryStateOfEveryPage: each page shows that it loads, fails, is forbidden, and is no
// longer fresh; then its actions are disabled.
func TestEveryStateOfEveryPage(t *testing.T) {
	w := newWorld(t)
	id := w.order()
	w.eventually("the order waits", func() bool { return w.dbState(id) == "waiting" })
	w.publish("{")
	courier := w.courier("Anna", "car")
	all := maps.Clone(pages)
	delete(all, "/ui/plain")
	all["/ui/orders/"+id] = ".timeline"
	all[fmt.Sprintf("/ui/couriers/%d", courier)] = ".facts"
	g := w.newGate()
	b := w.open("/ui/assets/icon.svg")
	b.tolerate = []string{"Failed to load resource", "net::ERR"}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		t.Run(path, func(t *testing.T) {
			sub := &tab{world: &world{T: t, cfg: w.cfg}, ctx: b.ctx}
			sub.states(g, path, all[path])
		})
	}
}

func (t *tab) states(g *gate, path, shows string) {
	to := chromedp.Navigate("http://" + t.cfg.HTTPAddr + path)
	const alert = `!document.querySelector('main .bone') && document.querySelector('main [role=alert]')`
	g.hold()
	t.do(to)
	t.sees(`document.querySelector('main .bone')`)
	g.answer(http.StatusServiceUnavailable)
	t.sees(alert + `?.textContent.includes('The database is unavailable')`)
	t.accessible(path, "error")

	g.answer(http.StatusForbidden)
	t.do(to)
	t.sees(alert + `?.textContent.includes('Your role does not allow this')`)

	g.answer(0)
	t.do(to)
	t.sees(fmt.Sprintf("document.querySelector(%q) && !document.querySelector('main .bone') && document.querySelector('[data-conn=live]')", shows))
	g.answer(http.StatusServiceUnavailable)
	g.CloseClientConnections()
	t.sees(`document.querySelector('main [data-conn=stale]')`)
	t.sees(`[...document.querySelectorAll('main button[aria-disabled]')].every(b => b.getAttribute('aria-disabled') === 'true')`)
	before := eval[string](t, `document.querySelector('main [data-conn=stale]').textContent`)
	t.sees(fmt.Sprintf(`document.querySelector('main [data-conn=stale]').textContent !== %q`, before))
	if path == "/ui/" {
		age := eval[string](t, `document.querySelector('.card time').textContent`)
		t.sees(fmt.Sprintf(`document.querySelector('.card time').textContent !== %q`, age))
	}
	g.answer(0)
	t.sees(`document.querySelector('[data-conn=live]') && !document.querySelector('main [data-conn=stale]')`)
}
