package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

// TestCouriersAreLive: a courier who is registered, edited, paused, resumed and deleted by
// another client changes on the board and in the list by events of the stream alone.
func TestCouriersAreLive(t *testing.T) {
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
