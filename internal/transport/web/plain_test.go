package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/orders"
)

// plainData has one order of each state, many of one, and a courier with a hostile name.
type plainData struct{ err error }

func (d plainData) Page(_ context.Context, list orders.List, _ orders.PageKey, limit int) ([]orders.Listed, error) {
	now := time.Now()
	order := orders.Order{OrderID: courier.OrderID("o-" + string(list)), State: courier.State(list), CreatedAt: now.Add(-time.Hour), UpdatedAt: now}
	switch list {
	case orders.Waiting:
		all := make([]orders.Listed, limit)
		for i := range all {
			all[i].Order = order
		}
		return all, d.err
	case orders.Assigned:
		order.Delivery = orders.Delivery{CourierID: 1, Deadline: now.Add(-time.Minute)}
	default:
		order.HeldReason = "<script>rain</script>"
	}
	return []orders.Listed{{Order: order}}, d.err
}

type plainCouriers struct{ err error }

func (d plainCouriers) Page(context.Context, couriers.Filter, int64, int) ([]courier.Courier, error) {
	return []courier.Courier{{ID: 1, Name: `<img src=x>"'`, Status: courier.StatusBusy, Transport: courier.Car, OrderID: "o-assigned"}}, d.err
}

// TestPlainBoard: it shows every state in the reader's language, bounded, and texts stay
// text.
func TestPlainBoard(t *testing.T) {
	board := func(target, language string, err error) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		r.Header.Set("Accept-Language", language)
		w := httptest.NewRecorder()
		NewPlain(plainData{err}, plainCouriers{err}, slog.New(slog.DiscardHandler), func(error) bool { return false }).Board(w, r, true)
		return w
	}
	w := board("/ui/plain", "en-GB", nil)
	page := w.Body.String()
	if w.Code != http.StatusOK || w.Header().Get("Content-Security-Policy") != policy || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
	for _, want := range []string{
		`lang="en"`, "o-waiting", "1 h 0 min", "o-assigned", "1 min over", "overdue", "&lt;img src=x&gt;", "o-held", "&lt;script&gt;rain", "There are more", "Sign out",
	} {
		if !strings.Contains(strings.ToLower(page), strings.ToLower(want)) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(page, `data-order="o-waiting"`); n != plainRows {
		t.Errorf("%d waiting orders are shown", n)
	}
	for _, target := range []string{"/ui/plain?lang=ru", "/ui/plain"} {
		if got := board(target, "ru", nil).Body.String(); !strings.Contains(got, `lang="ru"`) || !strings.Contains(got, "Доска") || strings.Contains(got, "Waiting") {
			t.Errorf("%s is not in Russian", target)
		}
	}
	if w := board("/ui/plain", "", courier.ErrUnavailable); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "database is unavailable") {
		t.Errorf("without the database: %d", w.Code)
	}
	if w := board("/ui/plain", "", errors.New("other")); w.Code != http.StatusServiceUnavailable {
		t.Errorf("after another failure: %d", w.Code)
	}
}

// TestPlainTextsExist: every text of the plain board exists.
func TestPlainTextsExist(t *testing.T) {
	keys := []string{"courier.n", "left", "over", "unit.s", "unit.min", "unit.h", "unit.d"}
	for _, m := range regexp.MustCompile(`\.T "([\w.]+)"`).FindAllStringSubmatch(plainText, -1) {
		keys = append(keys, m[1])
	}
	for _, state := range []string{"waiting", "assigned", "held"} {
		keys = append(keys, "column."+state, "state."+state, "empty."+state)
	}
	for _, key := range keys {
		if texts()[key][english] == "" {
			t.Errorf("%s is missing", key)
		}
	}
}
