package web

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"service-courier/internal/dev/citest"
)

// active lists the active orders of a state as the API does, in the sequence of the board.
func (w *world) active(state string) (ids []string) {
	w.Helper()
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				OrderID string `json:"order_id"`
			}
			NextCursor string `json:"next_cursor"`
		}
		w.get("/api/v1/orders?limit=100&state="+state+"&cursor="+cursor, &page)
		for _, o := range page.Items {
			ids = append(ids, o.OrderID)
		}
		if cursor = page.NextCursor; cursor == "" {
			return ids
		}
	}
}

// known is what the page knows of a state, sorted.
func (t *tab) known(state string) []string {
	t.Helper()
	return eval[[]string](t, fmt.Sprintf(`import('/ui/assets/live.js').then(m => [...m.board.value.orders.values()].filter(o => o.state === %q).map(o => o.id).sort())`, state))
}

// sameAsAPI waits until the board has exactly the orders that the API lists.
func (t *tab) sameAsAPI() {
	t.Helper()
	var difference string
	defer func() {
		if t.Failed() {
			t.Log(difference)
		}
	}()
	t.eventually("the board equals the API", func() bool {
		for _, state := range []string{"waiting", "assigned", "held"} {
			api, board := slices.Sorted(slices.Values(t.active(state))), t.known(state)
			total := eval[string](t, fmt.Sprintf(`document.querySelector('.total-%s b').textContent.replace(/\D/g, '')`, state))
			if difference = fmt.Sprintf("%s: the API lists %d, the board has %d and shows %s", state, len(api), len(board), total); !slices.Equal(api, board) || total != fmt.Sprint(len(api)) {
				return false
			}
		}
		return true
	})
}

// cards are the cards shown in a column.
func (t *tab) cards(state string) []string {
	t.Helper()
	return eval[[]string](t, fmt.Sprintf(`[...document.querySelectorAll('.column-%s [data-order]')].map(c => c.dataset.order)`, state))
}

// TestThousandCards: with 1,000 cards and 50 changes a second the board stays correct, and
// shows at most 500 cards of a column.
func TestThousandCards(t *testing.T) {
	citest.Only(t, "it keeps two processors busy")
	w := newWorld(t)
	ids := make([]string, 0, 1000)
	for range 1000 {
		ids = append(ids, w.order())
	}
	w.eventually("every order waits", func() bool {
		var n int
		w.must(w.pool.QueryRow(w.Context(), "SELECT count(*) FROM orders WHERE state = 'waiting'").Scan(&n))
		return n == len(ids)
	})
	b := w.open("/ui/")
	b.sees(`document.querySelector('.total-waiting b')?.textContent === '1,000'`)
	for i := range 20 {
		w.courier(fmt.Sprintf("Courier %d", i), "car")
	}
	pace := time.NewTicker(time.Second / 50)
	defer pace.Stop()
	for i := range 250 {
		<-pace.C
		switch i % 5 { // a courier who is freed takes the next order: two changes
		case 0, 1, 2:
			w.must(w.sim.SetStatus(ids[i], "completed"))
		case 3:
			w.must(w.sim.SetStatus(ids[len(ids)-1-i/2], "cancelled"))
		default:
			w.order()
		}
	}
	b.sameAsAPI()

	waiting := w.active("waiting")
	window := func(from, to int) {
		t.Helper()
		b.eventually(fmt.Sprintf("the column shows places %d to %d of the queue", from+1, to), func() bool {
			return slices.Equal(b.cards("waiting"), waiting[from:to])
		})
	}
	for shown := 100; shown <= 500; shown += 100 {
		window(0, shown)
		b.do(chromedp.Click(chromedp.CSS(".column-waiting .after")))
	}
	window(100, 600)
	b.do(chromedp.Click(chromedp.CSS(".column-waiting .before")))
	window(0, 500)
}
