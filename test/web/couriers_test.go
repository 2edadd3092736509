package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"

	"service-courier/internal/dev/citest"
)

// TestCouriersAreLive: a courier who is registered, edited, paused, resumed and deleted by
// another client changes on the board and in the list by events of the stream alone.
func TestCouriersAreLive(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	b, list := w.open("/ui/"), w.open("/ui/couriers")
	b.sees(`document.querySelector('.column-couriers .empty')`)
	list.sees(`document.querySelector('main .empty') && document.querySelector('[data-conn=live]')`)
	for _, one := range []*tab{b, list} {
		eval[any](one, `{
			const real = window.fetch
			window.fetch = (path, ...rest) => path.startsWith('/api/v1/couriers') ? new Promise(() => {}) : real(path, ...rest)
			null
		}`)
	}
	body := w.send(http.MethodPost, "/api/v1/couriers", map[string]any{"name": "Anna", "phone": "+79000000001", "transport_type": "car"})
	var anna struct{ ID int64 }
	w.must(json.Unmarshal(body, &anna))
	path := fmt.Sprintf("/api/v1/couriers/%d", anna.ID)
	expect := func(name, status string) {
		t.Helper()
		b.sees(fmt.Sprintf(`document.querySelector('[data-courier="%d"][data-status=%s]')?.textContent.includes(%q)`, anna.ID, status, name))
		list.sees(fmt.Sprintf(`document.querySelector('[data-row="%d"] .state-%s') && document.querySelector('[data-row]').textContent.includes(%q)`, anna.ID, status, name))
	}
	expect("Anna", "available")
	w.send(http.MethodPatch, path, map[string]any{"name": "Anna Petrova"})
	expect("Anna Petrova", "available")
	w.send(http.MethodPost, path+"/pause", map[string]any{})
	expect("Anna Petrova", "paused")
	w.send(http.MethodPost, path+"/resume", nil)
	expect("Anna Petrova", "available")
	w.send(http.MethodDelete, path, nil)
	b.sees(`document.querySelector('.column-couriers .empty')`)
	list.sees(`document.querySelector('main .empty')`)
}

// send sends a request with a body of JSON, or none, and returns the answer.
func (w *world) send(method, path string, body any) []byte {
	w.Helper()
	var text bytes.Buffer
	if body != nil {
		w.must(json.NewEncoder(&text).Encode(body))
	}
	r, err := http.NewRequestWithContext(w.Context(), method, "http://"+w.cfg.HTTPAddr+path, &text)
	w.must(err)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	w.must(err)
	defer response.Body.Close()
	var answer bytes.Buffer
	_, err = answer.ReadFrom(response.Body)
	w.must(err)
	if response.StatusCode >= 300 {
		w.Fatalf("%s %s: %s: %s", method, path, response.Status, answer.String())
	}
	return answer.Bytes()
}

// TestDayOfACourier: the bar and the table show how each delivery of the day ended, and
// follow the courier without a reload; another day has its own.
func TestDayOfACourier(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	courier := w.courier("Anna", "car")
	first := w.order()
	w.eventually("the order is assigned", func() bool { return w.dbState(first) == "assigned" })
	b := w.open(fmt.Sprintf("/ui/couriers/%d", courier))
	row := func(id, state string, bars int) {
		t.Helper()
		b.sees(fmt.Sprintf(`[...document.querySelectorAll('main tr')].some(r => r.querySelector('a[href$="%s"]') && r.querySelector('.state-%s')) && document.querySelectorAll('.daybar rect').length === %d`, id, state, bars))
	}
	row(first, "assigned", 1)
	w.must(w.sim.SetStatus(first, "completed"))
	row(first, "completed", 1)
	second := w.order()
	row(second, "assigned", 2)
	w.post("/api/v1/orders/" + second + "/unassign")
	row(second, "held", 2)
	b.accessible("/ui/couriers/id", "deliveries of a day")
	b.do(chromedp.Navigate(fmt.Sprintf("http://%s/ui/couriers/%d?day=2026-01-31", w.cfg.HTTPAddr, courier)))
	b.sees(`document.querySelector('main input[type=date]').value === '2026-01-31' && document.querySelector('.daybar') && document.querySelector('main').textContent.includes('No deliveries on this day')`)
}

// TestEventOfACourierIsNewerThanAnAnswer: a list of couriers that was read before an event
// does not undo it.
func TestEventOfACourierIsNewerThanAnAnswer(t *testing.T) {
	citest.Only(t, "`make test-web` runs every page")
	w := newWorld(t)
	anna := w.courier("Anna", "car")
	b := w.open("/ui/")
	shown := func(status string) string {
		return fmt.Sprintf(`document.querySelector('[data-courier="%d"][data-status=%s]')`, anna, status)
	}
	b.sees(shown("available"))
	eval[any](b, `{
		const real = window.fetch
		window.fetch = async (path, ...rest) => {
			const answer = await real(path, ...rest)
			if (!path.startsWith('/api/v1/couriers?')) return answer
			const text = await answer.text()
			await new Promise(release => { window.release = release })
			setTimeout(() => { window.taken = true }, 500) // the board is drawn within 100 ms
			return new Response(text, answer)
		}
		import('/ui/assets/live.js').then(m => m.touchCouriers())
		null
	}`)
	b.sees(`window.release`)
	w.send(http.MethodPost, fmt.Sprintf("/api/v1/couriers/%d/pause", anna), map[string]any{})
	b.sees(shown("paused"))
	eval[any](b, `window.release(); null`)
	b.sees(`window.taken`)
	if !eval[bool](b, "Boolean("+shown("paused")+")") {
		t.Error("an older answer made the courier available")
	}
}
