package web

import (
	"cmp"
	"fmt"
	"io"
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

	"service-courier/internal/dev/citest"
)

// gate is between the browser and the service: it passes the API's requests on, holds them
// back, or answers them itself.
type gate struct {
	*httptest.Server
	mu      sync.Mutex
	status  int           // 0: pass on
	pass    string        // path that is passed on whatever the status is
	session string        // the answer to who the caller is; empty: the service's
	refuse  string        // code of the problem that answers 403; empty: forbidden
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
	api := strings.HasPrefix(r.URL.Path, "/api/v1/") || strings.HasPrefix(r.URL.Path, "/dev/v1/")
	guarded := api && r.URL.Path != "/api/v1/session"
	if guarded && held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return
		}
	}
	g.mu.Lock()
	status, session, pass, refusal := g.status, g.session, g.pass, cmp.Or(g.refuse, "forbidden")
	g.mu.Unlock()
	if r.URL.Path == "/api/v1/session" && session != "" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, session)
		return
	}
	if !guarded || status == 0 || r.URL.Path == pass {
		g.service.ServeHTTP(w, r)
		return
	}
	code := map[int]string{http.StatusForbidden: refusal, http.StatusServiceUnavailable: "storage_unavailable"}[status]
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"type":"/problems/%s","title":"forced","status":%d,"code":%q}`, strings.ReplaceAll(code, "_", "-"), status, code)
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
	citest.Only(t, "axe-core checks each page twice")
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
	if path != "/ui/health" {
		t.sees(`document.querySelector('main [role=alert] a[href="/ui/health"]')`) // has the cause
	}
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

// TestStatesOfThePlayground: the same for the Playground. To a read token, which dev has
// not, it shows the recovery with every action disabled.
func TestStatesOfThePlayground(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newDev(t)
	g := w.newGate()
	b := w.open("/ui/assets/icon.svg")
	b.tolerate = []string{"Failed to load resource", "net::ERR"}
	b.states(g, "/ui/playground", ".verdict")
	b.play("create.one")
	b.staleDialog(g, "main tr[data-row] button")

	g.mu.Lock()
	g.session = `{"signed_in":true,"token_required":true,"name":"viewer","role":"read","playground":true}`
	g.mu.Unlock()
	b.do(chromedp.Reload())
	b.sees(`document.querySelector('.verdict') && document.querySelector('main tr[data-row]')`)
	b.sees(`[...document.querySelectorAll('main footer button, main tr button')].every(b => b.getAttribute('aria-disabled') === 'true' && b.title.includes('operate'))`)
	b.accessible("/ui/playground", "read only")
}

// TestNotLoadedIsNotNone: the board does not say "none" of what it could not load, and loads it
// when that is possible.
func TestNotLoadedIsNotNone(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	id := w.order()
	w.eventually("the order waits", func() bool { return w.dbState(id) == "waiting" })
	g := w.newGate()
	g.pass = "/api/v1/stream"
	g.answer(http.StatusServiceUnavailable)
	b := w.open("/ui/")
	b.tolerate = []string{"Failed to load resource"}
	b.card(id, "waiting")
	b.sees(`document.querySelector('.column-couriers [role=alert] a[href="/ui/health"]')`)
	b.sees(`document.querySelector('.ended .bone') && !document.querySelector('.ended .empty')`)
	b.focus(fmt.Sprintf(`[data-order="%s"]`, id))
	b.keys("a")
	b.sees(`document.querySelector('dialog[open] .bone') && !document.querySelector('dialog').textContent.includes('No courier is free')`)
	g.answer(0)
	b.sees(`document.querySelector('.column-couriers .empty') && document.querySelector('.ended .empty')`)
	b.sees(`document.querySelector('dialog').textContent.includes('No courier is free')`)
}

// TestDialogsWhileStale: a dialog that is open when the connection is lost says so and sends
// nothing, neither by its buttons nor by Enter; then it works again.
func TestDialogsWhileStale(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	held, assigned := w.order(), w.order()
	w.courier("Anna", "car")
	boris := w.courier("Boris", "car")
	for _, id := range []string{held, assigned} {
		w.eventually("the order is assigned", func() bool { return w.dbState(id) == "assigned" })
	}
	w.post("/api/v1/orders/" + held + "/unassign")
	_, err := w.pool.Exec(w.Context(), "UPDATE orders SET missing_since = now() WHERE order_id = $1", held)
	w.must(err)
	w.publish("{")
	g := w.newGate()
	b := w.open("/ui/assets/icon.svg")
	b.tolerate = []string{"Failed to load resource", "net::ERR"}
	for _, d := range []struct {
		name, path string
		open       []string // what to press, one after the other
	}{
		{"assign", "", []string{".column-held .actions button:last-child"}},
		{"unassign", "", []string{".column-assigned .actions button:last-child"}},
		{"cancel", "orders/" + held, []string{".page-tools .danger"}},
		{"register", "couriers", []string{".page-tools .primary"}},
		{"edit", fmt.Sprintf("couriers/%d", boris), []string{".page-tools button:nth-last-child(2)"}},
		{"delete", fmt.Sprintf("couriers/%d", boris), []string{".page-tools .danger"}},
		{"discard all", "dead-letters", []string{".toolbar .danger"}},
		{"redrive one", "dead-letters", []string{"[data-row] button"}},
		{"edit a payload", "dead-letters", []string{"[data-row] button", "dialog .chips button:last-child"}},
		{"publish", "events", []string{".page-tools .primary"}},
	} {
		t.Run(d.name, func(t *testing.T) {
			sub := &tab{world: &world{T: t, cfg: w.cfg}, ctx: b.ctx}
			g.answer(0)
			sub.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + "/ui/" + d.path))
			sub.staleDialog(g, d.open...)
		})
	}
}

// staleDialog opens a dialog, interrupts the connection, and presses every button of a command.
func (t *tab) staleDialog(g *gate, open ...string) {
	t.Helper()
	t.sees(`document.querySelector('[data-conn=live]')`)
	for _, selector := range open {
		t.focus(selector)
		t.keys("Enter")
	}
	const commands = `[...document.querySelectorAll('dialog :is(.choice, .danger, .primary)')]`
	enabled := func(is bool) string {
		return fmt.Sprintf(`%[1]s.length && %[1]s.every(b => b.getAttribute('aria-disabled') === '%[2]t')`, commands, !is)
	}
	t.sees(enabled(true))
	g.answer(http.StatusServiceUnavailable)
	g.CloseClientConnections()
	t.sees(`document.querySelector('dialog [data-conn=stale]') && ` + enabled(false))
	sent := eval[[]string](t, `{
		const real = window.fetch, sent = []
		window.fetch = (path, options) => { sent.push(options.method + ' ' + path); return real(path, options) }
		for (const button of `+commands+`) button.click()
		document.querySelector('dialog form')?.requestSubmit()
		window.fetch = real
		sent
	}`)
	if len(sent) > 0 {
		t.Fatalf("the dialog sent %v", sent)
	}
	g.answer(0)
	t.sees(`document.querySelector('[data-conn=live]') && !document.querySelector('dialog [data-conn=stale]') && ` + enabled(true))
}
